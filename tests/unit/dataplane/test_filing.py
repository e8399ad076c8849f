"""Files of small objects are written by another process, or here when it cannot; later, where many objects come."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.waiting import until

from wildsage.dataplane.objects import filing as filing_module
from wildsage.dataplane.objects.filing import Filed, Filing

SECONDS = 60.0
NAMES = [f"bucket/{number:02x}/{number:032x}~a" for number in range(20)]


class Index:
    """Which blobs an object has."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.away = False
        self.error: Exception = sqlite3.OperationalError("disk I/O error")

    def named(self, names: Sequence[str]) -> set[str]:
        if self.away:
            raise self.error
        return set(names) - self.gone


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
async def filing(tmp_path: Path, index: Index) -> AsyncIterator[Filing]:
    (tmp_path / "objects" / ".incoming").mkdir(parents=True)
    made = Filing(tmp_path / "objects", tmp_path / "objects" / ".incoming", index.named, lambda: None)
    yield made
    async with asyncio.timeout(SECONDS):
        await made.close()


def file(filing: Filing, names: list[str], pack: int) -> None:
    for name in names:
        filing.hold(name, name.encode() * 100)
    filing.keep(names, pack)


def has(filing: Filing, pack: int) -> bool:
    return any(each.pack == pack for each in filing.filed)


def is_filed(root: Path, name: str) -> bool:
    path = root / "objects" / name
    return path.is_file() and path.read_bytes() == name.encode() * 100


async def test_files_are_written(filing: Filing, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES, 1):
        file(filing, [name], number)
    await until(lambda: has(filing, len(NAMES)))
    assert not filing.bytes_of
    assert all(is_filed(tmp_path, name) for name in NAMES)


async def test_what_is_dropped_or_replaced_is_not_written(filing: Filing, index: Index, tmp_path: Path) -> None:
    filing.hold(NAMES[0], b"x")
    filing.drop(NAMES[0])
    index.gone = {NAMES[1], *NAMES[10:]}
    file(filing, NAMES[2:4], 3)
    file(filing, [NAMES[1], *NAMES[4:10]], 7)
    file(filing, NAMES[10:], 17)
    await until(lambda: has(filing, 17))
    assert not filing.bytes_of
    assert filing.filed == [Filed(3, True), Filed(7, False), Filed(17, False)]
    assert [is_filed(tmp_path, name) for name in NAMES] == [False] * 2 + [True] * 8 + [False] * 10


async def test_while_many_come_they_wait_for_some_time(
    filing: Filing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._CALM", -1)
    monkeypatch.setattr("wildsage.dataplane.objects.filing._TICK", 0.01)
    file(filing, NAMES, 1)
    await asyncio.sleep(0.5)
    assert not filing.filed
    assert len(filing.bytes_of) == len(NAMES)
    monkeypatch.setattr("wildsage.dataplane.objects.filing._OLDEST", 0.0)
    await until(lambda: has(filing, 1))
    assert all(is_filed(tmp_path, name) for name in NAMES)


async def test_more_bytes_than_may_wait_are_written_at_once(filing: Filing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._CALM", -1)
    monkeypatch.setattr("wildsage.dataplane.objects.filing._HELD", 5_000)
    monkeypatch.setattr("wildsage.dataplane.objects.filing._MOST_HELD", 20_000)
    full = []
    for number, names in ((1, NAMES[:1]), (2, NAMES[1:])):
        file(filing, names, number)
        full.append(filing.is_full)
    await until(lambda: has(filing, 2))
    assert [*full, filing.is_full] == [False, True, False]


async def test_of_another_database_nothing_is_filed(filing: Filing, tmp_path: Path) -> None:
    file(filing, NAMES[:5], 1000)
    filing.begin_anew()
    assert not filing.bytes_of
    file(filing, NAMES[5:], 3)
    await until(lambda: has(filing, 3))
    assert not is_filed(tmp_path, NAMES[0])
    assert is_filed(tmp_path, NAMES[5])


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), RuntimeError("a fault")])
async def test_without_an_index_they_wait(
    filing: Filing, index: Index, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    index.error = error
    monkeypatch.setattr("wildsage.dataplane.objects.filing._AGAIN_SECONDS", 0.1)
    index.away = True
    file(filing, NAMES, 1)
    await asyncio.sleep(0.5)
    assert len(filing.bytes_of) == len(NAMES)
    index.away = False
    await until(lambda: has(filing, 1))


async def test_a_batch_that_fails_unforeseen_is_not_left_behind(
    filing: Filing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a later batch noted first, the bytes of this one would be forgotten without a file."""
    starts: list[Path] = []
    start = filing_module._start_scribe

    def fail_first(root: Path) -> object:
        starts.append(root)
        if len(starts) == 1:
            raise RuntimeError("can't start new thread")
        return start(root)

    monkeypatch.setattr(filing_module, "_start_scribe", fail_first)
    monkeypatch.setattr(filing_module, "_AGAIN_SECONDS", 0.1)
    file(filing, NAMES[:3], 3)
    await until(lambda: bool(starts))
    file(filing, NAMES[3:], len(NAMES))
    await until(lambda: has(filing, len(NAMES)))
    assert all(is_filed(tmp_path, name) for name in NAMES)


async def test_a_file_that_is_half_there_becomes_whole(filing: Filing, tmp_path: Path) -> None:
    path = tmp_path / "objects" / NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"hal")
    file(filing, NAMES, 1)
    await until(lambda: has(filing, 1))
    assert all(is_filed(tmp_path, name) for name in NAMES)
    assert not list((tmp_path / "objects" / ".incoming").iterdir())


async def test_files_that_cannot_be_written_are_tried_again(filing: Filing, tmp_path: Path) -> None:
    blocked = tmp_path / "objects" / "bucket"
    blocked.write_bytes(b"")
    file(filing, NAMES[:2], 1)
    (tmp_path / "objects" / "other").mkdir()
    other = NAMES[2].replace("bucket", "other")
    file(filing, [other], 2)
    await until(lambda: is_filed(tmp_path, other))
    assert not has(filing, 1)
    assert filing.bytes_of[NAMES[0]] == NAMES[0].encode() * 100
    blocked.unlink()
    await until(lambda: has(filing, 1) and has(filing, 2))
    assert all(is_filed(tmp_path, name) for name in NAMES[:2])


async def test_what_goes_while_its_file_cannot_be_written_gets_none(
    filing: Filing, index: Index, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._AGAIN_SECONDS", 0.1)
    blocked = tmp_path / "objects" / "bucket"
    blocked.write_bytes(b"")
    file(filing, NAMES[:2], 1)
    await until(lambda: "cannot be written" in caplog.text)
    index.gone = {NAMES[0]}
    blocked.unlink()
    await until(lambda: has(filing, 1))
    assert [is_filed(tmp_path, name) for name in NAMES[:2]] == [False, True]
    assert not filing.bytes_of


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_writer_may_die(
    filing: Filing, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._PATIENCE", 0.5)
    file(filing, NAMES[:1], 1)
    await until(lambda: has(filing, 1))
    os.kill(filing.pid, number)
    for turn, name in enumerate(NAMES[1:], 2):
        file(filing, [name], turn)
    await until(lambda: has(filing, len(NAMES)))
    assert all(is_filed(tmp_path, name) for name in NAMES)


async def test_more_than_a_writer_takes_that_does_not_read(
    filing: Filing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._PATIENCE", 0.5)
    file(filing, NAMES[:1], 1)
    await until(lambda: has(filing, 1))
    os.kill(filing.pid, signal.SIGSTOP)
    filing.hold(NAMES[1], bytes(2_000_000))
    filing.keep([NAMES[1]], 2)
    await until(lambda: has(filing, 2))
    assert (tmp_path / "objects" / NAMES[1]).stat().st_size == 2_000_000


async def test_a_writer_that_nobody_needs_goes(filing: Filing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._IDLE_SECONDS", 0.3)
    for number, name in enumerate(NAMES[:2], 1):
        file(filing, [name], number)
        await until(partial(is_filed, tmp_path, name))
        await until(lambda: filing.pid == 0)
    assert filing.filed == [Filed(1, True), Filed(2, True)]

"""Files of small objects are written by another process, or here when it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from wildsage.dataplane.objects.filing import Filing

SECONDS = 60.0
NAMES = [f"bucket/{number:02x}/{number:032x}~a" for number in range(20)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.001)


@pytest.fixture
async def filing(tmp_path: Path) -> AsyncIterator[Filing]:
    (tmp_path / "objects" / ".incoming").mkdir(parents=True)
    made = Filing(tmp_path / "objects", tmp_path / "objects" / ".incoming", lambda: None)
    yield made
    await made.close()


async def file(filing: Filing, names: list[str], newest: int) -> None:
    for name in names:
        filing.hold(name, name.encode() * 100)
    await asyncio.to_thread(filing.send, names, newest)


def is_filed(root: Path, name: str) -> bool:
    path = root / "objects" / name
    return path.is_file() and path.read_bytes() == name.encode() * 100


async def test_files_are_written(filing: Filing, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES, 1):
        await file(filing, [name], number)
    await until(lambda: filing.newest == len(NAMES))
    assert not filing.bytes_of
    assert all(is_filed(tmp_path, name) for name in NAMES)


async def test_what_is_dropped_is_not_written(filing: Filing, tmp_path: Path) -> None:
    filing.hold(NAMES[0], b"x")
    filing.drop(NAMES[0])
    await file(filing, NAMES[1:], 7)
    await until(lambda: filing.newest == 7)
    assert not (tmp_path / "objects" / NAMES[0]).exists()


async def test_a_file_that_is_half_there_becomes_whole(filing: Filing, tmp_path: Path) -> None:
    path = tmp_path / "objects" / NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"hal")
    await file(filing, NAMES, 1)
    await until(lambda: filing.newest == 1)
    assert all(is_filed(tmp_path, name) for name in NAMES)
    assert not list((tmp_path / "objects" / ".incoming").iterdir())


async def test_files_that_cannot_be_written_are_tried_again(filing: Filing, tmp_path: Path) -> None:
    blocked = tmp_path / "objects" / "bucket"
    blocked.write_bytes(b"")
    await file(filing, NAMES[:2], 1)
    (tmp_path / "objects" / "other").mkdir()
    other = NAMES[2].replace("bucket", "other")
    await file(filing, [other], 2)
    await until(lambda: is_filed(tmp_path, other))
    assert filing.newest == 0  # not everything up to 2 is written
    assert filing.bytes_of[NAMES[0]] == NAMES[0].encode() * 100
    blocked.unlink()
    await until(lambda: filing.newest == 2)
    assert all(is_filed(tmp_path, name) for name in NAMES[:2])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_writer_may_die(
    filing: Filing, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._PATIENCE", 0.5)
    await file(filing, NAMES[:1], 1)
    await until(lambda: filing.newest == 1)
    os.kill(filing.pid, number)
    for turn, name in enumerate(NAMES[1:], 2):
        filing.hold(name, name.encode() * 100)
        await asyncio.to_thread(filing.send, [name], turn)
    await until(lambda: filing.newest == len(NAMES))
    assert all(is_filed(tmp_path, name) for name in NAMES)


async def test_more_than_a_writer_takes_that_does_not_read(
    filing: Filing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._PATIENCE", 0.5)
    await file(filing, NAMES[:1], 1)
    os.kill(filing.pid, signal.SIGSTOP)
    filing.hold(NAMES[1], bytes(2_000_000))
    await asyncio.to_thread(filing.send, [NAMES[1]], 2)
    await until(lambda: filing.newest == 2)
    assert (tmp_path / "objects" / NAMES[1]).stat().st_size == 2_000_000


async def test_a_writer_that_nobody_needs_goes(filing: Filing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.filing._PATIENCE", 0.1)
    for number, name in enumerate(NAMES[:2], 1):
        await file(filing, [name], number)
        await until(partial(is_filed, tmp_path, name))
        await until(lambda: filing.pid == 0)
    assert filing.newest == 2

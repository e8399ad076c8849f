"""How long a log may become that nobody takes over, and what stays of one that somebody does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wildsage.core.clock import SystemClock
from wildsage.runtimes.containers.attendant.resuming import heard
from wildsage.runtimes.sandbox import log
from wildsage.runtimes.sandbox.keeper.backlog import MOST, Backlog


@pytest.fixture
def written(tmp_path: Path) -> int:
    """The log of a container, open as its keeper has it: a descriptor."""
    return os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)


def test_a_log_is_full_until_half_of_it_was_taken(tmp_path: Path, written: int) -> None:
    backlog = Backlog(os.open(tmp_path, os.O_RDONLY), written)
    assert not backlog.full()
    os.truncate(written, MOST)
    assert not backlog.full() and backlog.grown == MOST
    os.truncate(written, MOST + 1)
    assert backlog.full() and backlog.grown == 1
    log.release(tmp_path, MOST // 2)
    assert backlog.full()
    log.release(tmp_path, MOST // 2 + 1)
    assert not backlog.full()
    os.truncate(written, 10)
    assert not backlog.full()


async def test_what_was_released_takes_no_room_and_the_rest_is_as_it_was(tmp_path: Path, written: int) -> None:
    lines = [f"{number:0127}" for number in range(1 << 15)]
    os.write(written, "".join(f"{line}\n" for line in lines).encode())
    os.fsync(written)
    log.release(tmp_path, 3 << 20)
    stat = os.fstat(written)
    assert (stat.st_size, stat.st_blocks * 512 <= 3 << 19) == (1 << 22, True)
    seen = [line async for line in log.read(tmp_path / "log", 3 << 20, SystemClock(), lambda: True)]
    assert [line.text for line in seen] == lines[3 << 13 :]
    kept = [line async for line in log.read(tmp_path / "log", 0, SystemClock(), lambda: True)]
    assert [line.text for line in kept] == lines[-len(kept) :] and len(seen) + 2000 < len(kept) < len(seen) + 3000


def test_a_container_that_is_gone_has_nothing_to_release(tmp_path: Path) -> None:
    log.release(tmp_path, 1 << 30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("held", "log", "rest"),
    [
        (["one\n", "two\n", "three\n"], "one\ntwo\n", "three\n"),
        (["one\n", "two\n"], "one\ntwo\n", ""),
        (["one\n"], "", "one\n"),
        ([], "one\n", ""),
        (["same\n", "same\n", "same\n"], "same\nsame\n", "same\n"),
        (["four\nfi", "ve\nsix\n", "seven\n"], "one\ntwo\nthree\nfour\nfive\nsi", "x\nseven\n"),
        (["same\n", "other\n", "same\n", "new\n"], "a lot of it\nsame\nother\nsame\n", "new\n"),
        (["2\n", "3\n", "4\n", "5\n", "6\n", "7\n"], "a lot of it\n0\n1\n2\n3\n4\n5\n", "6\n7\n"),
        (["nine\n", "ten\n"], "one\ntwo\nthree\nfour\n", "nine\nten\n"),
    ],
)
def test_where_the_next_attendant_goes_on(held: list[str], log: str, rest: str) -> None:
    pieces = [piece.encode() for piece in held]
    at = heard(pieces, len(log), log.encode()[-7:])
    assert b"".join(pieces)[at:].decode() == rest

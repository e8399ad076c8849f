"""Following a log where there are no more watches to have."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import clean_environment
from tests.waiting import until

from wildsage.core.clock import SystemClock
from wildsage.runtimes.base import Inspection, Phase
from wildsage.runtimes.sandbox import log
from wildsage.runtimes.sandbox.changes import Changes


def append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


async def follow(path: Path) -> list[str]:
    """Writes two lines, the second while the follower waits for it; what was followed."""
    append(path, "first")
    end: asyncio.Future[Inspection] = asyncio.get_running_loop().create_future()
    seen: list[str] = []
    async for line in log.follow(path, 0, SystemClock(), end):
        seen.append(line.text)
        if line.text == "first":
            asyncio.get_running_loop().call_later(0.1, append, path, "second")
        else:
            end.set_result(Inspection(Phase.EXITED, 0))
    return seen


async def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    assert await follow(tmp_path / "log") == ["first", "second"]


async def test_many_logs_share_one_descriptor_of_inotify(tmp_path: Path) -> None:
    """A user may have 128; with more logs than that those beyond would be looked at four times a second."""
    everything = asyncio.gather(*(follow(tmp_path / str(number)) for number in range(200)))
    await asyncio.sleep(0)
    assert _descriptors() == 1
    assert await everything == [["first", "second"]] * 200
    await until(lambda: _descriptors() == 0)  # a thread closes it


async def test_two_follow_the_same_log(tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    with pytest.raises(FileNotFoundError), Changes(log_file):
        pass
    log_file.touch()
    with Changes(log_file) as one:
        with Changes(log_file) as two:
            append(log_file, "a line")
            await asyncio.wait_for(asyncio.gather(one.wait(), two.wait()), 60)
        append(log_file, "another")
        await asyncio.wait_for(one.wait(), 60)
        log_file.unlink()


def _descriptors() -> int:
    links = [each.readlink().name for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return links.count("anon_inode:inotify")


def test_without_a_watch_they_come_too(tmp_path: Path) -> None:
    """In a user namespace of its own, which may have no watch at all."""
    program = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$0" -m tests.unit.runtimes.test_log "$1"'
    ended = subprocess.run(
        ["unshare", "-r", "sh", "-c", program, sys.executable, str(tmp_path / "log")],
        env=clean_environment(),
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "['first', 'second']\n", ended.stderr


if __name__ == "__main__":
    print(asyncio.run(follow(Path(sys.argv[1]))))

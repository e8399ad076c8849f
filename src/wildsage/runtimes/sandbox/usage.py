"""What a container uses, read from /proc: it needs no control groups and works for an ordinary user too.

Processor time of a running container is that of its keeper's ended children and of all that live below the keeper, with
the ended children of those. Of an ended one the keeper's report has it.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wildsage.runtimes.base import Usage
from wildsage.runtimes.sandbox.state import Container

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHARED_SECONDS = 0.5
_MOST_FILES = 50_000
_CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class _Process:
    """``ticks``: its own processor time; ``reaped``: that of its ended children."""

    parent: int
    ticks: int
    reaped: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What a container held when its processes had run for so long: ``ran``, by process, in nanoseconds."""

    ran: tuple[tuple[int, int], ...]
    memory: int
    disk: int | None


class Processes:
    """The machine's processes; one look serves all that ask within half a second.

    A container of which no process has run since it was measured holds what it held: looking at memory and files takes
    milliseconds, which hundreds of endpoints at rest would add up to a good part of a core.
    """

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}
        self._seen: dict[int, _Process] = {}
        self._children: dict[int, list[int]] = {}
        self._at = float("-inf")

    def below(self, root: int) -> tuple[int, list[int]]:
        """Ticks of ``root``'s ended children and of all processes below it, and these processes."""
        self._look()
        if root not in self._seen:
            return 0, []
        ticks, found, waiting = self._seen[root].reaped, [], [*self._children.get(root, ())]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            ticks += self._seen[pid].ticks + self._seen[pid].reaped
            waiting += self._children.get(pid, ())
        return ticks, found

    def held(self, root: int, below: list[int], directory: Path) -> _Held:
        """What the processes ``below`` and the files of a container hold."""
        ran = tuple(_ran(below))
        held = self._held.get(root)
        if held is None or held.ran != ran:
            held = self._held[root] = _Held(ran, _memory(below), files(directory))
        return held

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._at < _SHARED_SECONDS:
            return
        self._seen = dict(_processes())
        children = defaultdict(list)
        for pid, process in self._seen.items():
            children[process.parent].append(pid)
        self._children, self._at = children, now
        self._held = {root: held for root, held in self._held.items() if root in self._seen}


def _processes() -> Iterator[tuple[int, _Process]]:
    for name in os.listdir("/proc"):  # noqa: PTH208  names are all there is to see
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        user, system, reaped_user, reaped_system = map(int, fields[11:15])
        yield int(name), _Process(int(fields[1]), user + system, reaped_user + reaped_system)


def _ran(pids: list[int]) -> Iterator[tuple[int, int]]:
    """Each with its processor time, threads and all: clock_getcpuclockid(3), for which Python has no name."""
    for pid in sorted(pids):
        with suppress(OSError):  # it has just ended
            yield pid, time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)


def measure(container: Container, processes: Processes) -> Usage | None:
    """None if nothing can be told: it was lost, or is about to begin."""
    if container.alive():
        ticks, below = processes.below(container.pid)
        if not below:
            return None
        began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + container.started / _TICK
        held = processes.held(container.pid, below, container.directory)
        return Usage(ticks / _TICK, held.memory, held.disk, began=began)
    try:
        report = json.loads((container.directory / "exit.json").read_text())
    except FileNotFoundError:
        return None
    if "cpu_seconds" not in report:
        return None
    span = (report["started_at"], report["ended_at"])
    return Usage(report["cpu_seconds"], report["peak_memory_bytes"], files(container.directory), span)


def _memory(pids: list[int]) -> int:
    """What they hold; pages that several share count once."""
    return sum(map(_resident if len(pids) == 1 else _proportional, pids))


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, PermissionError):
        return _resident(pid)
    except ProcessLookupError:
        return 0
    return 0


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def files(directory: Path) -> int | None:
    """Bytes on the disk; None for more files than can be counted in a moment."""
    total, count = 0, 0
    waiting = [os.fspath(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # it is being taken away, or the container closed it
        if count > _MOST_FILES:
            return None
    return total

"""What a container uses, read from its control groups: all that is known of one that has ended."""

from __future__ import annotations

import datetime

from wildsage.runtimes.sandbox.keeper.limits import own_groups

_NANOSECONDS, _MICROSECONDS = 1e9, 1e6


def seconds(text: str) -> float:
    """Epoch seconds of the engine's ``2026-01-31T12:00:00.123456789Z``."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


class Meter:
    """``cpu_seconds`` and ``peak_bytes`` as last seen; ``killed``: the kernel has, for want of memory."""

    def __init__(self) -> None:
        self.cpu_seconds = 0.0
        self.peak_bytes = 0
        self.killed = False
        self._cpu = ""
        self._memory = ""
        self._unified = ""

    def watch(self, pid: int) -> None:
        """From here on the groups of that process are the container's."""
        try:
            groups = own_groups(str(pid)) if pid else []
        except OSError:
            return  # it has ended already
        for controllers, directory in groups:
            if "cpuacct" in controllers:
                self._cpu = directory
            elif "memory" in controllers:
                self._memory = directory
            elif not controllers:
                self._unified = directory
        self.look()

    def look(self) -> None:
        """Now. A container that has ended has no groups any more: what was seen last stays."""
        if self._memory:
            self._look_at_version_1()
        elif self._unified:
            self._look_at_version_2()

    def _look_at_version_1(self) -> None:
        if self._cpu:
            used = _first(f"{self._cpu}/cpuacct.usage")
            self.cpu_seconds = max(self.cpu_seconds, used / _NANOSECONDS)
        self._saw(_first(f"{self._memory}/memory.usage_in_bytes"), f"{self._memory}/memory.stat", "total_inactive_file")
        self._saw_kills(f"{self._memory}/memory.oom_control")

    def _look_at_version_2(self) -> None:
        used = _table(f"{self._unified}/cpu.stat").get("usage_usec", 0)
        self.cpu_seconds = max(self.cpu_seconds, used / _MICROSECONDS)
        self._saw(_first(f"{self._unified}/memory.current"), f"{self._unified}/memory.stat", "inactive_file")
        self._saw_kills(f"{self._unified}/memory.events")

    def _saw(self, held: int, table: str, given_back: str) -> None:
        """Files that the kernel could forget at once are nobody's memory."""
        if held > self.peak_bytes:
            self.peak_bytes = max(self.peak_bytes, held - _table(table).get(given_back, 0))

    def _saw_kills(self, table: str) -> None:
        self.killed = self.killed or _table(table).get("oom_kill", 0) > 0


def _first(path: str) -> int:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _table(path: str) -> dict[str, int]:
    try:
        with open(path) as file:
            lines = [line.split() for line in file]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}

"""Tells one process from a later one with the same number."""

from __future__ import annotations


def start_time(pid: int) -> int | None:
    """Clock ticks from the machine's start to the process's; None if there is no such process or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def boot_id() -> str:
    """Changes with every start of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def runs(pid: int, started: int, boot: str) -> bool:
    """Whether the process with that number is still the one that started then."""
    return start_time(pid) == started and boot_id() == boot

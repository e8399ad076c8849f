"""A container as the sandbox's files describe it: the handle, the keeper's identity, the exit status."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildsage.runtimes.base import Handle, Inspection, Phase
from wildsage.runtimes.sandbox.keeper import identity
from wildsage.runtimes.sandbox.keeper.launcher import EXIT


@dataclass(frozen=True, slots=True)
class Container:
    """One container; ``started`` is the keeper's start in clock ticks since the boot named ``boot``."""

    name: str
    directory: Path
    pid: int
    started: int
    boot: str
    groups: tuple[str, ...]
    sockets: Path

    def handle(self) -> Handle:
        return {
            "runtime": "sandbox",
            "name": self.name,
            "directory": str(self.directory),
            "pid": self.pid,
            "started": self.started,
            "boot": self.boot,
            "groups": list(self.groups),
            "sockets": str(self.sockets),
        }

    def alive(self) -> bool:
        """Whether this very keeper still runs (and not another process that was given its number)."""
        return identity.runs(self.pid, self.started, self.boot)

    def open(self) -> int | None:
        """A process file descriptor of the keeper; None when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.alive():
            return descriptor
        os.close(descriptor)
        return None

    def signal(self, number: signal.Signals) -> None:
        """Sends to the keeper, if it lives."""
        descriptor = self.open()
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)

    def inspect(self) -> Inspection:
        # Alive is asked before the exit status is read: the keeper writes it and then ends.
        alive = self.alive()
        try:
            report: dict[str, Any] = json.loads((self.directory / EXIT).read_text())
        except FileNotFoundError:
            return Inspection(Phase.RUNNING if alive else Phase.LOST)
        return Inspection(
            Phase.EXITED, report["exit_code"], report["out_of_memory"], report["started_at"], report["ended_at"]
        )


def of_handle(handle: Handle) -> Container:
    """The container that ``handle`` names."""
    return Container(
        handle["name"],
        Path(handle["directory"]),
        handle["pid"],
        handle["started"],
        handle["boot"],
        tuple(handle["groups"]),
        Path(handle["sockets"]),
    )


def lines_of(text: str) -> dict[str, list[str]]:
    """A launcher's answer, lines of ``key value``: key → its values in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, value = line.split(" ", 1)
        found.setdefault(key, []).append(value)
    return found


def of_report(name: str, directory: Path, sockets: Path, text: str) -> Container:
    """The container, or the network, that the launcher's answer ``text`` describes."""
    found = lines_of(text)
    pid, started, boot = (found[key][0] for key in ("pid", "started", "boot"))
    return Container(name, directory, int(pid), int(started), boot, tuple(found.get("group", ())), sockets)

"""A container as its files describe it: the handle, its attendant's identity, how it ended."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildsage.runtimes.base import Handle, Inspection, Phase
from wildsage.runtimes.sandbox.keeper import identity
from wildsage.runtimes.sandbox.keeper.launcher import EXIT, STATE

NAME = "containers"  # of the runtime


@dataclass(frozen=True, slots=True)
class Container:
    """``id``: the engine's. ``network``: of the one that is its alone. ``address``: there. Each may be empty."""

    name: str
    directory: Path
    id: str
    network: str
    address: str

    def handle(self) -> Handle:
        return {
            "runtime": NAME,
            "name": self.name,
            "directory": str(self.directory),
            "container": self.id,
            "network": self.network,
            "address": self.address,
        }

    def attendant(self) -> int | None:
        """A process file descriptor of the attendant; None if there is none that lives."""
        found = _lines(self.directory)
        if found.get("container") != self.id:
            return None
        pid = int(found["pid"])
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if identity.runs(pid, int(found["started"]), found["boot"]):
            return descriptor
        os.close(descriptor)
        return None

    def known(self) -> bool:
        """Whether the directory still stands for this container: it was not removed, nor launched anew."""
        return _lines(self.directory).get("container") == self.id

    def ended(self) -> Inspection | None:
        """How it ended; None if nobody has reported that."""
        report = self.report()
        if report is None:
            return None
        if "lost" in report:
            return Inspection(Phase.LOST, reason=report["lost"])
        return Inspection(
            Phase.EXITED, report["exit_code"], report["out_of_memory"], report["started_at"], report["ended_at"]
        )

    def report(self) -> dict[str, Any] | None:
        """``exit.json``."""
        try:
            found: dict[str, Any] = json.loads((self.directory / EXIT).read_text())
        except FileNotFoundError:
            return None
        return found


def of_handle(handle: Handle) -> Container:
    """The container that ``handle`` names."""
    return Container(
        handle["name"], Path(handle["directory"]), handle["container"], handle["network"], handle["address"]
    )


def of_report(name: str, directory: Path, text: str) -> Container:
    """The container that the launcher's answer ``text`` describes."""
    found = dict(line.split(" ", 1) for line in text.splitlines())
    network, address = ("" if found[key] == "-" else found[key] for key in ("network", "address"))
    return Container(name, directory, found["container"], network, address)


def _lines(directory: Path) -> dict[str, str]:
    try:
        text = (directory / STATE).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(line.split(" ", 1) for line in text.splitlines())

"""``run/server.json``: which server a data directory has, as its supervisor wrote it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from wildsage.core.errors import SettingsError, WildsageError
from wildsage.core.settings import DataDir


class NotRunning(WildsageError):
    """The data directory has no server."""


@dataclass(frozen=True, slots=True)
class ServerFile:
    """``pid``: the supervisor's. ``started``: epoch seconds. ``children``: process ids by role."""

    pid: int
    host: str
    port: int
    url: str
    region: str
    started: float
    ephemeral: bool
    children: dict[str, int]


def write(data: DataDir, server: ServerFile) -> None:
    """In one step, so that readers see all of it."""
    half = data.server_file.with_suffix(".new")
    half.write_text(json.dumps(asdict(server), indent=2))
    half.rename(data.server_file)


def read(data: DataDir) -> ServerFile | None:
    """What the last server wrote; None if there is nothing. It may have been killed since."""
    try:
        return ServerFile(**json.loads(data.server_file.read_text()))
    except (FileNotFoundError, NotADirectoryError, TypeError, ValueError):
        return None
    except OSError as error:
        raise SettingsError(f"the data directory {data.root} cannot be used: {error.strerror}") from error


def running(data: DataDir) -> ServerFile:
    """The running server; raises NotRunning, which says how to start one."""
    found = read(data)
    if found is None or not alive(found.pid) or not _is_supervisor(found.pid):
        raise NotRunning(f"no server is running on {data.root}; start one with: wildsage up --data {data.root}")
    return found


def _is_supervisor(pid: int) -> bool:
    """Whether the process was started as ``… up …``: the file may be of a killed server, its number another's now."""
    try:
        return b"up" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True  # no /proc, or not ours to look at: the file is believed


def alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

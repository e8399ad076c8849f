"""The server's processes: control and router, started again when they die."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_WAITS = (0.0, 0.2, 1.0, 5.0)  # seconds before a start, by how many times it died young
_YOUNG = 5.0  # seconds


@dataclass(slots=True)
class Child:
    """One process. ``pid``: 0 while it is not running. ``due``: when to start it (monotonic seconds)."""

    name: str
    argv: list[str]
    log: Path
    pid: int = 0
    started: float = 0.0
    young_deaths: int = 0
    due: float = field(default=0.0)

    def start(self) -> None:
        """Runs it with its output in its log."""
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                self.argv,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,  # Ctrl-C reaches the supervisor only, which stops its children in order
            )
        finally:
            os.close(log)
            os.close(null)
        self.started = time.monotonic()

    def died(self) -> None:
        """Decides when it is started again: at once, but ever later if it keeps dying young."""
        now = time.monotonic()
        self.pid = 0
        self.young_deaths = self.young_deaths + 1 if now - self.started < _YOUNG else 0
        self.due = now + _WAITS[min(self.young_deaths, len(_WAITS) - 1)]

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, number)

    def last_words(self) -> str:
        """The end of its log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-12:])


def reap(children: Sequence[Child]) -> list[Child]:
    """The children that have ended since the last call."""
    ended = []
    for child in children:
        if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
            child.died()
            ended.append(child)
    return ended


def stop(children: Sequence[Child], seconds: float) -> None:
    """SIGTERM, and SIGKILL for what is still there after ``seconds``; returns when all are gone."""
    deadline = time.monotonic() + seconds
    for child in children:
        child.signal(signal.SIGTERM)
    while any(child.pid for child in children):
        reap(children)
        if time.monotonic() > deadline:
            for child in children:
                child.signal(signal.SIGKILL)
        time.sleep(0.005)


def end_strays(pids: Sequence[int], data: Path, seconds: float) -> None:
    """Ends what a supervisor that was killed has left behind; only processes that name this data directory."""
    mark = f"--data\0{data}\0".encode()
    strays = [pid for pid in pids if mark in _command_line(pid)]
    deadline = time.monotonic() + seconds
    for pid in strays:
        _kill(pid, signal.SIGTERM)
    while strays:
        strays = [pid for pid in strays if mark in _command_line(pid)]
        if time.monotonic() > deadline:
            for pid in strays:
                _kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

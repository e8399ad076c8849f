"""Processes of ours that end."""

from __future__ import annotations

import os
from collections.abc import Iterator


def ended() -> Iterator[tuple[int, int]]:
    """Those that nobody has asked for yet: process id and exit status, which is minus the number of a signal."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def told(code: int) -> str:
    """How a process has ended, in words that follow its name."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


def noticed(number: int, frame: object) -> None:
    """A handler of SIGCHLD, which only has to reach the wakeup descriptor."""

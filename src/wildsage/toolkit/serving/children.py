"""Processes of ours: how they begin and end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def fork() -> int:
    """``os.fork``, but signals do to the child what they do by default, from its first moment on.

    With its parent's handlers it would take a SIGTERM that comes at once for its parent's, and live on.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


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

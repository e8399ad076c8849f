"""``kill -9`` of processes, and their ends."""

from __future__ import annotations

import os
import select
import signal

from tests.conftest import Server
from tests.waiting import wait_until


def gone(pid: int) -> bool:
    """Whether all its threads have ended: the first may be a zombie while others still hold sockets that answer."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    finally:
        os.close(descriptor)


def kill(pid: int) -> None:
    """Returns once it is gone."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))


def end_control(server: Server) -> None:
    """The control process takes no request any more, and the next one is not there yet."""
    kill(server.status["processes"]["control"])

"""Has the container's first process forked from a zygote (``zygote/main.py``) instead of executing it.

``_socket`` is what ``socket`` is made of, without the enumerations: a keeper must stay small.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

from wildsage.runtimes.sandbox.keeper.order import Order

_WAIT_SECONDS = 20.0


def connect(path: str) -> _socket.socket | None:
    """To the zygote; None if it is gone."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sock.settimeout(_WAIT_SECONDS)
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    return sock


def fork(sock: _socket.socket, order: Order, flags: int, kept: frozenset[int], log: int, gate: int) -> int:
    """Its number in this process's namespace; 0 if there is none, and the container must be executed.

    ``flags``: the kinds of this process's namespaces that it has to enter; ``kept``: its capabilities.
    """
    keeper = os.pidfd_open(os.getpid())
    try:
        asked = marshal.dumps((flags, (list(order.argv), order.environment, order.working_directory, sorted(kept))), 2)
        descriptors = b"".join(each.to_bytes(4, sys.byteorder) for each in (keeper, log, gate))
        sock.sendmsg([asked], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
        answer = sock.recv(64)
    except OSError:
        return 0
    finally:
        os.close(keeper)
        sock.close()
    return int(answer) if answer else 0

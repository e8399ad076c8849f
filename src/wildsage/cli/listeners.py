"""The port, bound by the supervisor and handed on, so that it stays ours while a router is started again."""

from __future__ import annotations

import socket

from wildsage.core.errors import SettingsError

_BACKLOG = 4096


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """``count`` sockets that listen at one port (0: a free one); raises SettingsError if it cannot be had.

    The kernel shares new connections among several by their addresses (SO_REUSEPORT). What is given to the socket of a
    router that died waits there until it is back.
    """
    first = _bind(host, port, shared=False)  # fails where anybody else has the port, even one who would share it
    if count == 1:
        first.listen(_BACKLOG)
        return [first]
    port = first.getsockname()[1]
    first.close()
    found = [_bind(host, port, shared=True) for _ in range(count)]
    for listener in found:
        listener.listen(_BACKLOG)
    return found


def _bind(host: str, port: int, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "a port is a number up to 65535"
        raise SettingsError(
            f"{host}:{port} cannot be used ({reason}); choose another with --port, or a free one with --port 0"
        ) from error
    return listener

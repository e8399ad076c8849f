"""Starts a serverless model server: a supervisor, the template that it keeps, and the template's workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

from .. import supervisor
from ..http import Handle
from . import forking
from .board import Board
from .pool import Pool, Terms

_UNFORKABLE = 75
_TOLD = "pool.sock"


def terms_of(environ: Mapping[str, str]) -> Terms | None:
    """None: the endpoint is not serverless."""
    if "WILDSAGE_SERVERLESS_IDLE_SECONDS" not in environ:
        return None
    return Terms(
        int(environ.get("WILDSAGE_SERVERLESS_PROVISIONED", "0")),
        float(environ["WILDSAGE_SERVERLESS_IDLE_SECONDS"]),
        int(environ.get("WILDSAGE_SERVERLESS_MEMORY_BYTES", "0")),
    )


def serve(listener: socket.socket, terms: Terms, load: Callable[[], Handle]) -> int:
    """Until SIGTERM; the exit status. 1 if the model cannot be loaded.

    The template loads the model once, and workers are its forks. What cannot be forked is loaded by each worker.
    """
    board = Board(terms.provisioned)
    told = _told(listener)
    before = forking.sockets()

    def template(parent: int, ready: Callable[[], None]) -> None:
        handle = load()
        if why := forking.obstacle(before):
            supervisor.log(f"the loaded model cannot be forked: {why}. Each cold start will load it anew.")
            raise SystemExit(_UNFORKABLE)
        forking.settle()
        ready()
        Pool(listener, parent, told, board, terms, lambda: handle).run()

    def plain(parent: int, ready: Callable[[], None]) -> None:
        ready()
        Pool(listener, parent, told, board, terms, load).run()

    status = supervisor.Supervisor(1, template).run()
    return supervisor.Supervisor(1, plain).run() if status == _UNFORKABLE else status


def _told(listener: socket.socket) -> socket.socket | None:
    """Where control says how many workers are to be kept: a socket beside the listener's."""
    if listener.family != socket.AF_UNIX:
        return None
    path = os.path.join(os.path.dirname(listener.getsockname()), _TOLD)
    if os.path.exists(path):
        os.unlink(path)
    told = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    told.bind(path)
    told.listen(16)
    return told

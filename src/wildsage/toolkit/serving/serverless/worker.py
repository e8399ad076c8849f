"""A serverless worker: it serves the connections that the pool hands it, one at a time."""

from __future__ import annotations

import math
import select
import socket
import time
from contextlib import suppress

from ..http import Answer, Connection, Handle
from ..loops import Serving
from .board import ANSWERING, BUSY, IDLE, Board

FREE, LEFT = b"f", b"l"
"""To the pool: my connection is closed; I end, and leave it to you."""

SETUP = "x-wildsage-setup-us"
"""With a worker's first answer: microseconds from the request for it until it could serve."""


class Worker(Serving):
    """``channel``: to the pool, which sends connections.

    Asked to end, it leaves an open connection to the pool, so that no request that may be under way on it is lost.
    Having one connection only, it need not close it after a long request.
    """

    _long = math.inf

    def __init__(self, channel: socket.socket, parent: int, handle: Handle, board: Board, place: int) -> None:
        super().__init__(channel, parent, handle)
        self._channel = channel
        self._board = board
        self._place = place
        self._ending = False
        self._setup = ""  # a header line for the first answer
        board.note(place, IDLE)

    def serve(self, first: socket.socket | None, asked: float) -> None:
        """Until the pool has had enough of it. ``first``: the connection it was started for, at ``asked``."""
        if first is not None:
            self._setup = f"{SETUP}: {round((time.monotonic() - asked) * 1e6)}\r\n"
            self._take(first)
        while not self._ending or not all(connection.idle for connection in self._connections.values()):
            self._round()
        if self._connections:
            with suppress(OSError):  # the pool is gone, and with it whoever could go on
                self._channel.send(LEFT)

    def _stop(self, number: int, frame: object) -> None:
        self._ending = True

    def _orphaned(self) -> None:
        self._end(self._parent)

    def _end(self, descriptor: int) -> None:
        """Nothing new will come from there."""
        self._ending = True
        self._poll.unregister(descriptor)

    def _accept(self) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        if descriptors:
            self._take(socket.socket(fileno=descriptors[0]))
        else:
            self._end(self._channel.fileno())  # the pool is gone

    def _take(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        connection = self._connections[sock.fileno()] = Connection(sock)
        self._poll.register(sock, select.EPOLLIN)
        self._attend(connection, select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        self._board.note(self._place, BUSY)
        super()._read(connection)
        if connection.idle:
            self._board.note(self._place, IDLE)

    def _send(self, connection: Connection, answer: Answer, head_only: bool) -> bool:
        self._board.note(self._place, ANSWERING)
        if self._setup:
            answer, self._setup = answer._replace(extra=answer.extra + self._setup), ""
        return super()._send(connection, answer, head_only)

    def _flush(self, connection: Connection) -> None:
        super()._flush(connection)
        if connection.idle:
            self._board.note(self._place, IDLE)

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            self._poll.unregister(connection.sock)  # closing does not, as the pool has it open, too
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.sock.close()
            with suppress(OSError):
                self._channel.send(FREE)
        self._board.note(self._place, IDLE)

"""Connections on their way from the router to the objects process: accepted by one, served by the other.

The router has only peeked at what the client sent, so the descriptor is all that must be passed on (SCM_RIGHTS).  A
message that is sent cannot be taken back, though, and a process that is stopped or hangs would keep its clients
waiting.  So a connection is offered first; it changes hands when the other side has answered and was told to go on:

    router → objects   o<number> and the descriptor
    objects → router   t<number> or r<number>          it would take it, or has no descriptor left for it
    router → objects   y<number> or n<number>          it is yours, or the answer came too late

``p<number>`` asks only for an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_BACKLOG = 16
_MESSAGE_BYTES = 32
_ASK_SECONDS = 0.5
_REST_SECONDS = 0.2


class Sender:
    """The router's end. Connects when there is something to send, and again after the other side was restarted.

    ``patience``: seconds to wait for an answer. After one that did not come nothing is offered until one comes.
    """

    def __init__(self, path: Path, patience: float = 0.3) -> None:
        self._path = path
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._line: socket.socket | None = None
        self._numbers = itertools.count()
        self._offers: dict[int, asyncio.Future[bool]] = {}
        self._silent = False
        self._heard = 0.0
        self._question: asyncio.TimerHandle | None = None

    async def __call__(self, sock: socket.socket) -> bool:
        """Passes ``sock`` on; False if nobody takes it, or not at once."""
        if self._silent:
            return False
        number = next(self._numbers)
        if not self._send(b"o%d" % number, sock):
            return False
        offer: asyncio.Future[bool] = self._loop.create_future()
        self._offers[number] = offer
        timer = self._loop.call_later(self._patience, self._take_back, offer)
        try:
            return await offer
        finally:
            timer.cancel()
            del self._offers[number]

    def answers(self) -> bool:
        """Whether the other side did answer when it was last asked; asks again where that is a while ago."""
        now = self._loop.time()
        if not self._silent and self._question is None and now - self._heard > _ASK_SECONDS:
            if not self._send(b"p%d" % next(self._numbers)):
                return False
            self._question = self._loop.call_later(self._patience, self._fall_silent)
        return not self._silent

    def close(self) -> None:
        if self._line is not None:
            self._loop.remove_reader(self._line.fileno())
            self._line.close()
            self._line = None
        self._hear()
        for offer in self._offers.values():
            if not offer.done():
                offer.set_result(False)

    def _send(self, message: bytes, sock: socket.socket | None = None) -> bool:
        for _ in range(2):
            try:
                if self._line is None:
                    self._line = _connect(self._path)
                    self._loop.add_reader(self._line.fileno(), self._receive)
                socket.send_fds(self._line, [message], [] if sock is None else [sock.fileno()])
            except BlockingIOError:
                return False  # the other side is too slow
            except OSError:
                if self._line is None:
                    return False
                self.close()  # it was restarted: once more, with the new one
            else:
                return True
        return False

    def _receive(self) -> None:
        while self._line is not None:
            try:
                message = self._line.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self.close()
                return
            self._hear()
            if message[:1] == b"t":
                self._settle(message[1:])
            elif (offer := self._offers.get(int(message[1:]))) is not None and not offer.done():
                offer.set_result(False)

    def _settle(self, number: bytes) -> None:
        offer = self._offers.get(int(number))
        wanted = offer is not None and not offer.done()
        if self._line is None:
            return
        try:
            self._line.send((b"y" if wanted else b"n") + number)
        except OSError:
            self.close()  # what it holds of ours it lets go
            return
        if wanted and offer is not None:
            offer.set_result(True)

    def _take_back(self, offer: asyncio.Future[bool]) -> None:
        if not offer.done():
            offer.set_result(False)
            self._fall_silent()

    def _hear(self) -> None:
        self._silent, self._heard = False, self._loop.time()
        if self._question is not None:
            self._question.cancel()
            self._question = None

    def _fall_silent(self) -> None:
        if not self._silent:
            log.warning("the objects process does not answer; its work is done here until it does")
        self._silent, self._question = True, None


def _connect(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.setblocking(False)
    try:
        line.connect(str(path))
    except OSError:
        line.close()
        raise
    return line


class Receiver:
    """The objects process's end: listens on ``path`` (a stale socket is replaced) and calls ``take`` with each."""

    def __init__(self, path: Path, take: Callable[[socket.socket], None]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._lines: dict[socket.socket, dict[bytes, socket.socket]] = {}
        self._lacked = False
        self._rest: asyncio.TimerHandle | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fresh = path.with_name(f".{path.name}")
        fresh.unlink(missing_ok=True)
        self._listener.bind(str(fresh))
        fresh.chmod(0o600)
        self._listener.listen(_BACKLOG)
        fresh.rename(path)
        self._listener.setblocking(False)
        self._open()

    def _open(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for line in list(self._lines):
            self._drop(line)

    def _accept(self) -> None:
        try:
            line, _ = self._listener.accept()
        except OSError as error:
            log.warning("the router cannot reach this process: %s", error)
            self._loop.remove_reader(self._listener.fileno())
            self._rest = self._loop.call_later(_REST_SECONDS, self._open)
            return
        line.setblocking(False)
        self._lines[line] = {}
        self._loop.add_reader(line.fileno(), self._receive, line)

    def _receive(self, line: socket.socket) -> None:
        while line in self._lines:
            try:
                message, descriptors, _, _ = socket.recv_fds(line, _MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                message, descriptors = b"", []
            if not message:
                self._drop(line)
                return
            self._act(line, message[:1], message[1:], [socket.socket(fileno=number) for number in descriptors])

    def _act(self, line: socket.socket, word: bytes, number: bytes, offered: list[socket.socket]) -> None:
        held = self._lines[line]
        for sock in offered:
            held[number] = sock
        if word in (b"o", b"p"):
            # What the kernel leaves out where a process has as many descriptors as it may have is nobody's to take.
            lacks = word == b"o" and not offered
            if lacks and not self._lacked:
                log.warning("there is no descriptor left for what the router hands over; it serves that itself")
            self._lacked = lacks
            try:
                line.send((b"r" if lacks else b"t") + number)
            except OSError:
                self._drop(line)
        elif number in held:
            sock = held.pop(number)
            if word == b"y":
                self._take(sock)
            else:
                sock.close()

    def _drop(self, line: socket.socket) -> None:
        """The router is gone, and has kept what it did not hear of."""
        self._loop.remove_reader(line.fileno())
        line.close()
        for sock in self._lines.pop(line).values():
            sock.close()

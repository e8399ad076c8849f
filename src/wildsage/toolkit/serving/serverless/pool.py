"""The process that forks workers: it accepts connections and hands each to a worker of its own.

It alone listens, so it knows who has which connection.  A worker that has been idle for long ends and leaves its
connection here, where the next request on it is seen; so scaling to zero loses nothing and no route ever changes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from .. import children
from ..http import Handle
from ..supervisor import log
from . import forking
from .board import BUSY, IDLE, MOST, Board
from .worker import FREE, LEFT, Worker

_WATCH_BUSY, _WATCH_IDLE = 0.05, 0.5  # seconds between looks at workers
_STUCK_SECONDS = 600.0  # a router gives a streamed answer eight minutes; nobody waits any more
_PAUSE_SECONDS = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Terms(NamedTuple):
    """``provisioned``: workers that are always there. ``idle``: seconds after which one that has nothing to do ends.

    ``memory``: bytes that each may hold, 0 for any.
    """

    provisioned: int
    idle: float
    memory: int


class _Member:
    """A worker as the pool sees it. ``connection``: what it serves; ``fault``: why it was killed."""

    def __init__(self, pid: int, channel: socket.socket, connection: socket.socket | None, place: int) -> None:
        self.pid = pid
        self.channel = channel
        self.connection = connection
        self.place = place
        self.ending = False
        self.fault = ""


class Pool:
    """``load``: what a worker answers with; ``parent``: a pipe that ends with the supervisor."""

    def __init__(
        self, listener: socket.socket, parent: int, told: socket.socket | None, board: Board, terms: Terms,
        load: Callable[[], Handle],
    ) -> None:  # fmt: skip
        self._listener = listener
        self._parent = parent
        self._told = told
        self._board = board
        self._terms = terms
        self._load = load
        self._members: dict[int, _Member] = {}
        self._parked: dict[int, socket.socket] = {}
        self._peak = 0
        self._not_before = 0.0
        self._signals = os.pipe()
        self._stopping = False

    def run(self) -> None:
        """Until SIGTERM, or until the supervisor is gone."""
        for descriptor in self._signals:
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGCHLD, children.noticed)
        while not self._stopping:
            self._keep_provisioned()
            for descriptor in self._wait():
                self._attend(descriptor)
            self._reap()
            self._watch()
        for member in self._members.values():
            os.kill(member.pid, signal.SIGTERM)
        while self._members:
            select.select([self._signals[0], *(each.channel.fileno() for each in self._members.values())], [], [])
            self._drain_signals()
            self._reap()

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _wait(self) -> list[int]:
        """The descriptors on which something has happened; ends at the latest when workers are to be looked at."""
        poll = select.poll()
        poll.register(self._signals[0], select.POLLIN)
        poll.register(self._parent, select.POLLIN)
        if self._told is not None:
            poll.register(self._told, select.POLLIN)
        for member in self._members.values():
            poll.register(member.channel, select.POLLIN)
        if len(self._members) < MOST or self._free() is not None:
            poll.register(self._listener, select.POLLIN)
            for parked in self._parked:
                poll.register(parked, select.POLLIN)
        pause = None
        if self._members:
            busy = any(self._board.seen(member.place)[0] != IDLE for member in self._members.values())
            pause = 1000 * (_WATCH_BUSY if busy else _WATCH_IDLE)
        elif self._board.provisioned:
            pause = 1000 * _PAUSE_SECONDS
        return [descriptor for descriptor, _ in poll.poll(pause)]

    def _attend(self, descriptor: int) -> None:
        if descriptor == self._listener.fileno():
            with suppress(OSError):  # the client has gone again
                self._serve(self._listener.accept()[0])
        elif descriptor == self._parent:
            self._stopping = True
        elif descriptor == self._signals[0]:
            self._drain_signals()
        elif self._told is not None and descriptor == self._told.fileno():
            self._listen_to(self._told)
        elif descriptor in self._parked:
            self._wake(self._parked.pop(descriptor))
        else:
            self._hear(descriptor)

    def _wake(self, sock: socket.socket) -> None:
        """A connection without a worker has a request, or its client has gone."""
        try:
            gone = not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._park(sock)
            return
        except OSError:
            gone = True
        if gone:
            sock.close()
        else:
            self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        member = self._free()
        if member is None:
            if len(self._members) < MOST:
                self._fork(sock)
            else:
                self._park(sock)  # several came at once; it is looked at again when there is room
            return
        member.connection = sock
        socket.send_fds(member.channel, [b"c"], [sock.fileno()])

    def _free(self) -> _Member | None:
        return next((each for each in self._members.values() if each.connection is None and not each.ending), None)

    def _hear(self, descriptor: int) -> None:
        for member in self._members.values():
            if member.channel.fileno() == descriptor:
                word = b""
                with suppress(ConnectionResetError):
                    word = member.channel.recv(1)
                sock, member.connection = member.connection, None
                if word == FREE and sock is not None:
                    sock.close()
                elif word == LEFT and sock is not None:
                    self._park(sock)
                    member.ending = True
                else:
                    member.connection = sock  # its end; the signal of its death says the rest
                    self._reap()
                return

    def _park(self, sock: socket.socket) -> None:
        self._parked[sock.fileno()] = sock

    def _fork(self, sock: socket.socket | None) -> None:
        asked = time.monotonic()
        places = {member.place for member in self._members.values()}
        place = next(place for place in range(MOST) if place not in places)
        self._board.note(place, IDLE if sock is None else BUSY)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = children.fork()
        if pid == 0:
            ours.close()
            os._exit(self._child(theirs, sock, place, asked))
        theirs.close()
        self._members[pid] = _Member(pid, ours, sock, place)

    def _child(self, channel: socket.socket, sock: socket.socket | None, place: int, asked: float) -> int:
        """A worker's whole life."""
        try:
            for member in self._members.values():
                member.channel.close()
                if member.connection is not None:
                    member.connection.close()
            for parked in (*self._parked.values(), self._listener, self._told):
                if parked is not None:
                    parked.close()
            for descriptor in self._signals:
                os.close(descriptor)
            self._members.clear()
            self._parked.clear()
            forking.reseed()
            Worker(channel, self._parent, self._load(), self._board, place).serve(sock, asked)
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
            return 1
        return 0

    def _reap(self) -> None:
        for pid, code in children.ended():
            if (member := self._members.pop(pid, None)) is not None:
                self._bury(member, code)

    def _bury(self, member: _Member, code: int) -> None:
        with suppress(OSError):
            if member.channel.recv(1, socket.MSG_DONTWAIT) == LEFT and member.connection is not None:
                self._park(member.connection)
                member.connection = None
        member.channel.close()
        if code:
            log(member.fault or f"a worker {children.told(code)}")
            self._not_before = time.monotonic() + _PAUSE_SECONDS
        state, _ = self._board.seen(member.place)
        if member.connection is None:
            return
        if state == IDLE:
            self._park(member.connection)
        else:
            if state == BUSY:
                how = children.told(code) if code else "ended"
                _refuse(member.connection, member.fault or f"The worker process that had the request {how}.")
            member.connection.close()

    def _watch(self) -> None:
        """Kills workers that hold too much or are stuck, ends those that nobody needs."""
        now = time.monotonic()
        spare = sum(not member.ending for member in self._members.values()) - self._board.provisioned
        for member in list(self._members.values()):
            state, since = self._board.seen(member.place)
            held = _resident(member.pid)
            self._peak = max(self._peak, held)
            if self._terms.memory and held > self._terms.memory:
                self._kill(member, _out_of_memory(held, self._terms.memory))
            elif state != IDLE and now - since > _STUCK_SECONDS:
                self._kill(member, f"A worker has had its request for {_STUCK_SECONDS:g} s and was killed.")
            elif state == IDLE and now - since > self._terms.idle and spare > 0 and not member.ending:
                os.kill(member.pid, signal.SIGTERM)
                member.ending = True
                spare -= 1

    def _kill(self, member: _Member, fault: str) -> None:
        if not member.fault:
            member.fault = fault
            member.ending = True
            os.kill(member.pid, signal.SIGKILL)

    def _keep_provisioned(self) -> None:
        """So many workers are there whether anybody asks or not."""
        missing = self._board.provisioned - sum(not member.ending for member in self._members.values())
        if missing > 0 and time.monotonic() >= self._not_before:
            for _ in range(min(missing, MOST - len(self._members))):  # those that end have their places still
                self._fork(None)

    def _listen_to(self, told: socket.socket) -> None:
        """Control says how many are to be kept, and hears what there is."""
        with suppress(OSError, ValueError):
            sock = told.accept()[0]
            with sock:
                sock.settimeout(1.0)
                wish = json.loads(sock.recv(4096))
                if "provisioned" in wish:
                    self._board.provisioned = int(wish["provisioned"])
                sock.sendall(json.dumps({"workers": len(self._members), "peak_memory_bytes": self._peak}).encode())
                self._peak = 0

    def _drain_signals(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._signals[0], 4096)


def _resident(pid: int) -> int:
    """What an instance of its own would need: the model and the framework count, although they are shared here."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _out_of_memory(held: int, limit: int) -> str:
    mebi = 1 << 20
    return (
        f"The worker ran out of memory: it held {held // mebi} MB, and MemorySizeInMB of the serverless endpoint is "
        f"{limit // mebi}. This can occur when memory utilization is high. To check your utilization, see Amazon "
        "CloudWatch. To fix this problem, use a larger MemorySizeInMB."
    )


def _refuse(sock: socket.socket, words: str) -> None:
    """The answer of a worker that cannot give one any more."""
    body = words.encode()
    head = f"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n"
    with suppress(OSError):
        sock.settimeout(1.0)
        sock.sendall(head.encode() + b"connection: close\r\n\r\n" + body)

"""An event loop that takes all the requests there are, and answers each when its model is done with it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections import deque

from ..http import Answer, Connection, Request
from ..loops import Loop
from .batching import Job, Outcome, Scheduler
from .service import Service


class Mailbox:
    """From the threads of instances to the loop; ``woken`` is readable when there is something in it."""

    def __init__(self) -> None:
        self._found: deque[list[tuple[Job, Outcome]]] = deque()
        self.woken, self._wake = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self._wake, False)

    def put(self, found: list[tuple[Job, Outcome]]) -> None:
        self._found.append(found)
        try:
            os.write(self._wake, b"1")
        except BlockingIOError:  # it has not been read for long: it is readable
            return

    def take(self) -> list[tuple[Job, Outcome]]:
        with contextlib.suppress(BlockingIOError):
            os.read(self.woken, 4096)
        taken = []
        while self._found:
            taken += self._found.popleft()
        return taken


class LaterLoop(Loop):
    """Jobs are handed over after each round, so that requests that have come together run together.

    It stops between rounds: what was read is answered.
    """

    def __init__(self, listener: socket.socket, parent: int, service: Service, mailbox: Mailbox) -> None:
        super().__init__(listener, parent)
        self._service = service
        self._mailbox = mailbox
        self._asked: dict[Job, Connection] = {}
        self._new: dict[Scheduler, list[Job]] = {}
        self._ending = False
        self.watch(mailbox.woken, self._collect)

    def run(self) -> None:
        while not self._stopping or self._asked:
            self._round()
            while self._new:
                scheduler, jobs = self._new.popitem()
                scheduler.submit(jobs)
            self._stopping = self._ending

    def _stop(self, number: int, frame: object) -> None:
        self._ending = True

    def _orphaned(self) -> None:
        self._ending = True
        self._poll.unregister(self._parent)

    def _answered(self, connection: Connection, request: Request) -> Answer | None:
        begun = self._service.begin(request)
        if isinstance(begun, Answer):
            return begun
        self._asked[begun.job] = connection
        self._new.setdefault(begun.scheduler, []).append(begun.job)
        return None

    def _collect(self) -> None:
        for job, outcome in self._mailbox.take():
            connection = self._asked.pop(job)
            self._waiting.discard(connection)  # whose client may have gone
            if self._connections.get(connection.sock.fileno()) is connection:
                self.answer_later(connection, self._service.finish(job, outcome))


class Served:
    """A service with its mailbox. As a handle it takes one request at a time; ``loop`` takes all there are."""

    def __init__(self, service: Service, mailbox: Mailbox) -> None:
        self._service = service
        self._mailbox = mailbox

    def __call__(self, request: Request) -> Answer:
        begun = self._service.begin(request)
        if isinstance(begun, Answer):
            return begun
        begun.scheduler.submit([begun.job])
        select.select([self._mailbox.woken], [], [])
        ((job, outcome),) = self._mailbox.take()
        return self._service.finish(job, outcome)

    def loop(self, listener: socket.socket, parent: int) -> Loop:
        return LaterLoop(listener, parent, self._service, self._mailbox)

"""Whether processes that run answer at all. One that hangs is killed, and then started again like any that died."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from wildsage.cli import ask
from wildsage.cli.children import Child
from wildsage.core.addresses import ALIVE

EVERY = 5.0  # seconds


@dataclass(slots=True)
class Watched:
    """A process, and the socket where it answers.

    ``patience``: looks at a question that find no answer, until it counts as hanging. Looks are counted and not time:
    after the machine, or all of this server, was suspended there is one look at once.

    ``asked``: the question that process ``pid`` has, if any. ``unanswered``: looks that found no answer.
    """

    child: Child
    address: Path
    patience: int = 3
    asked: socket | None = None
    pid: int = 0
    unanswered: int = 0

    def look(self) -> None:
        """Ends a process that hangs; asks again one that has answered."""
        if self.asked is not None and self.pid == self.child.pid and self._silent(self.asked):
            self.unanswered += 1
            if self.unanswered < self.patience:
                return
            words = (
                f"the {self.child.name} process ({self.pid}) answers nothing any more; it is ended and started again"
            )
            print(f"wildsage: {words}", file=sys.stderr, flush=True)
            self.child.signal(signal.SIGKILL)
            self.forget()
            return
        self.forget()
        if self.child.pid:
            self._ask()

    def _silent(self, asked: socket) -> bool:
        try:
            asked.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            return False  # it has gone
        return False

    def _ask(self) -> None:
        try:
            self.asked = ask.connect(self.address, 0)
            ask.send(self.asked, ALIVE)
        except ask.NoAnswer:
            self.forget()  # it does not listen yet
        self.pid = self.child.pid

    def forget(self) -> None:
        if self.asked is not None:
            self.asked.close()
        self.asked, self.unanswered = None, 0


class Vigil:
    """``every``: seconds from one look to the next."""

    def __init__(self, watched: Sequence[Watched], every: float = EVERY) -> None:
        self._watched = watched
        self._every = every
        self._due = time.monotonic() + every

    def look(self) -> float:
        """Looks at all of them if it is time to; the seconds until it is next."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._every
            for each in self._watched:
                each.look()
        return self._due - now

    def close(self) -> None:
        """Waits for no answer any more."""
        for each in self._watched:
            each.forget()

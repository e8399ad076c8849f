"""GET /ping, as SageMaker asks it of a model server while it starts and for as long as it serves.

An answer must come within two seconds (SageMaker Developer Guide, "How Your Container Should Respond to Health Check
(Ping) Requests").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from wildsage.core.clock import Clock
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unanswered, Unreachable
from wildsage.wire.http.messages import BytesBody, Request

# A quick server is seen at once; a slow one is not worth more than ten questions a second.
_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.1
_GROWTH = 1.02
_ANSWER_SECONDS = 2.0
_MARGIN = 15.0


async def until_healthy(clock: Clock, address: str) -> None:
    """Returns once ``/ping`` answers 200; whoever calls bounds the time."""
    wait = _FIRST_WAIT
    while await _ask(address) is not _Answer.WELL:
        await clock.sleep(wait)
        wait = min(wait * _GROWTH, _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Patience:
    """How a serving container is watched. Seconds; SageMaker asks every five, and says no more than that.

    ``every``: between two questions; ``again``: after an answer that was not well. ``bad``: how many bad answers in a
    row make it ill. ``silence``: for how long it may give none to as many: a server with one worker gives none while a
    request is worked on (``patience_with``). ``idle``: the same of one that has no request to work on. ``aside``: how
    long requests go elsewhere after an answer that was not well; longer than it takes to ask again.
    """

    every: float = 5.0
    again: float = 1.0
    bad: int = 3
    silence: float = 75.0
    idle: float = 15.0
    aside: float = 10.0


def patience_with(seconds: float) -> Patience:
    """Where a model may work on a request for so long."""
    return Patience(silence=seconds + _MARGIN)


class Watched(Protocol):
    """A container that serves, as those know it who send it requests."""

    async def doubt(self, seconds: float) -> bool:
        """Requests go elsewhere for so long, if they can, 0: not any more; whether there are none at it now."""
        ...

    def excused(self) -> bool:
        """Whether silence is no sign, however long."""
        ...


async def until_ill(clock: Clock, address: str, patience: Patience, watched: Watched) -> None:
    """Returns once a container that was healthy is not any more."""
    bad, silent, wait = 0, 0, patience.again
    heard = busy = clock.now()  # when it last answered; when it last did, or had something else to do
    while True:
        await clock.sleep(wait)
        answer = await _ask(address)
        if answer is not _Answer.WELL:
            wait = patience.again
            idle = await watched.doubt(patience.aside)
        else:
            wait = patience.every
            if bad or silent:
                await watched.doubt(0.0)
        bad = bad + 1 if answer is _Answer.BAD else 0
        silent = silent + 1 if answer is _Answer.NONE else 0
        now = clock.now()
        if answer is not _Answer.NONE or watched.excused():
            heard = busy = now
        elif not idle:
            busy = now
        # Some questions, too: after the machine was suspended much time has passed since the last.
        quiet = silent >= patience.bad and (now - heard >= patience.silence or now - busy >= patience.idle)
        if quiet or bad >= patience.bad:
            return


class _Answer(Enum):
    """To /ping. BAD: another status, or nobody listens. NONE: not in time."""

    WELL, BAD, NONE = range(3)


async def _ask(address: str) -> _Answer:
    request = Request("GET", "/ping", [("host", "localhost")], BytesBody())
    client = Client()
    try:
        response = await client.whole(address, request, head_seconds=_ANSWER_SECONDS)
    except (TimeoutError, Unanswered):  # the latter of a server that is so busy that nobody more may wait
        return _Answer.NONE
    except (Unreachable, AnswerLost, OSError):
        return _Answer.BAD
    finally:
        client.close()  # no idle connection stays behind: some servers serve one at a time
    return _Answer.WELL if response.status == 200 else _Answer.BAD

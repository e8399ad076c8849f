"""GET /ping, as SageMaker asks it of a model server while it starts and for as long as it serves.

An answer must come within two seconds (SageMaker Developer Guide, "How Your Container Should Respond to Health Check
(Ping) Requests").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from wildsage.core.clock import Clock
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import BytesBody, Request

# A quick server is seen at once; a slow one is not worth more than ten questions a second.
_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.1
_GROWTH = 1.02
_ANSWER_SECONDS = 2.0


async def until_healthy(clock: Clock, address: str) -> None:
    """Returns once ``/ping`` answers 200; whoever calls bounds the time."""
    wait = _FIRST_WAIT
    while await _ask(address) is not _Answer.WELL:
        await clock.sleep(wait)
        wait = min(wait * _GROWTH, _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Patience:
    """How a serving container is watched. AWS says no numbers.

    ``every``: seconds between two questions; ``again``: after an answer that was not well. ``bad``: how many bad
    answers in a row make it ill. ``silence``: for how long it may give none: a server with one worker gives none while
    a request is worked on, which takes up to a minute.
    """

    every: float = 10.0
    again: float = 2.0
    bad: int = 3
    silence: float = 75.0


async def until_ill(clock: Clock, address: str, patience: Patience, busy: Callable[[], object] = bool) -> None:
    """Returns once a container that was healthy is not any more. ``busy``: while it says so, silence is no sign."""
    bad, heard, wait = 0, clock.now(), patience.again
    while bad < patience.bad and clock.now() - heard < patience.silence:
        await clock.sleep(wait)
        answer = await _ask(address)
        wait = patience.every if answer is _Answer.WELL else patience.again
        bad = bad + 1 if answer is _Answer.BAD else 0
        heard = heard if answer is _Answer.NONE and not busy() else clock.now()


class _Answer(Enum):
    """To /ping. BAD: another status, or nobody listens. NONE: not in time."""

    WELL, BAD, NONE = range(3)


async def _ask(address: str) -> _Answer:
    request = Request("GET", "/ping", [("host", "localhost")], BytesBody())
    client = Client()
    try:
        response = await client.whole(address, request, head_seconds=_ANSWER_SECONDS)
    except TimeoutError:
        return _Answer.NONE
    except (Unreachable, AnswerLost, OSError):
        return _Answer.BAD
    finally:
        client.close()  # no idle connection stays behind: some servers serve one at a time
    return _Answer.WELL if response.status == 200 else _Answer.BAD

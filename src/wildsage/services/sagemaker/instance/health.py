"""GET /ping, as SageMaker asks it of a model server while it starts."""

from __future__ import annotations

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
    """Returns once ``/ping`` answers 200; whoever calls bounds the time.

    An answer must come within two seconds (SageMaker Developer Guide, "How Your Container Should Respond to Health
    Check (Ping) Requests").
    """
    client = Client()
    wait = _FIRST_WAIT
    try:
        while not await _healthy(client, address):
            await clock.sleep(wait)
            wait = min(wait * _GROWTH, _LONGEST_WAIT)
    finally:
        client.close()  # no idle connection stays behind: some servers serve one at a time


async def _healthy(client: Client, address: str) -> bool:
    request = Request("GET", "/ping", [("host", "localhost")], BytesBody())
    try:
        response = await client.send(address, request, head_seconds=_ANSWER_SECONDS)
        if not isinstance(response.body, bytes):
            async for _ in response.body:  # type: ignore[union-attr]
                pass
    except (Unreachable, AnswerLost, TimeoutError, OSError):
        return False
    return response.status == 200

"""What control asks of the routers: what they have counted, and what is under way at which instance."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wildsage.core.settings import DataDir
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import BytesBody, FileBody, Request

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0


class Routers:
    """All routers of this server that run, each behind a socket of its own."""

    def __init__(self, data: DataDir, client: Client) -> None:
        self._data = data
        self._client = client

    async def told(self) -> list[Mapping[str, Any]]:
        """``GET /counters`` of each (see ``dataplane.router``); one that does not answer is left out."""
        answers = await asyncio.gather(*map(self._ask, self._data.router_sockets()))
        return [json.loads(answer) for answer in answers if answer]

    async def underway(self) -> Mapping[str, int]:
        """Requests under way by address of instance, of all routers together; 0 for an address that is not there.

        Counts requests to instances that are in no route any more, so that one can be stopped once it has none.
        """
        found: Counter[str] = Counter()
        for told in await self.told():
            found.update(told["underway"])
        return found

    async def _ask(self, socket: Path) -> bytes:
        request = Request("GET", "/counters", [("host", socket.stem)], BytesBody())
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                response = await self._client.send(f"unix:{socket}", request)
                if isinstance(response.body, bytes | FileBody):
                    return response.body if isinstance(response.body, bytes) else b""
                return b"".join([piece async for piece in response.body])
        except Unreachable:
            return b""  # it has ended, and has left what it counted in a file
        except (AnswerLost, TimeoutError) as error:
            log.warning("the router at %s did not say what it counted: %s", socket.name, error or "time-out")
            return b""

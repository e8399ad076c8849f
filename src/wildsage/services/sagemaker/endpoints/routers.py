"""What control asks of the routers: what they have counted, and what is under way at which instance."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildsage.core.instances import DOUBT, LEFT
from wildsage.core.multimodel import RELEASE, USED
from wildsage.core.settings import DataDir
from wildsage.services.sagemaker.instance.health import Watched
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unanswered, Unreachable
from wildsage.wire.http.messages import BytesBody, Request

log = logging.getLogger(__name__)

_MOST = 1 << 30
"""Bytes of what one router says: counters of tens of thousands of endpoints."""

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """``GET /counters`` of each router (see ``dataplane.router``). ``whole``: all that run have answered."""

    answers: tuple[Mapping[str, Any], ...]
    whole: bool


class Underway:
    """Requests that control itself has sent to instances, by address."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def begin(self, address: str) -> None:
        self._counts[address] += 1

    def end(self, address: str) -> None:
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def at(self, address: str) -> int:
        return self._counts[address]


class Routers:
    """All routers of this server that run, each behind a socket of its own; and ``own``, what control sends itself."""

    def __init__(self, data: DataDir, client: Client, patience: float = _PATIENCE_SECONDS) -> None:
        self._data = data
        self._client = client
        self._patience = patience
        self.own = Underway()

    async def told(self) -> Told:
        """What each says; one that does not answer within ``patience`` seconds is left out."""
        found = await asyncio.gather(*(self._ask(each, "GET", "/counters") for each in self._data.router_sockets()))
        return Told(tuple(json.loads(answer) for answer in found if answer), None not in found)

    async def done_with(self, addresses: Collection[str]) -> bool:
        """Whether nobody has a request under way at an instance of these addresses, and no router would send another.

        One that does not answer may have, and may not have heard that it shall not.
        """
        if any(map(self.own.at, addresses)):
            return False
        found = await self._tell(LEFT, {"addresses": list(addresses)})
        return None not in found and all(json.loads(answer)["left"] for answer in found if answer)

    async def doubt(self, address: str, seconds: float) -> bool:
        """Requests go elsewhere for so long, if they can (``core.instances``); whether nothing is under way there.

        At a router that does not answer something may be.
        """
        found = await self._tell(DOUBT, {"address": address, "seconds": seconds})
        underway = (json.loads(answer)["underway"] for answer in found if answer)
        return None not in found and not any(underway) and not self.own.at(address)

    async def used(self, address: str) -> list[Mapping[str, Any]]:
        """What each router knows of the models at an instance: see ``core.multimodel.USED``."""
        found = await self._tell(USED, {"address": address})
        return [json.loads(answer)["models"] for answer in found if answer]

    async def released(self, address: str, model: str) -> bool:
        """Whether no router has, or sends, anything to a model at an instance: see ``core.multimodel.RELEASE``."""
        found = await self._tell(RELEASE, {"address": address, "model": model})
        return None not in found and all(json.loads(answer)["released"] for answer in found if answer)

    def watched(self, address: str) -> Watched:
        """An instance, or a container that is invoked by name: see ``instance.health.Watched``."""
        return _Watched(self, address)

    async def _tell(self, path: str, question: Mapping[str, Any]) -> list[bytes | None]:
        """What each router answers, as ``_ask`` has it."""
        body = json.dumps(question).encode()
        return await asyncio.gather(*(self._ask(each, "POST", path, body) for each in self._data.router_sockets()))

    async def _ask(self, socket: Path, method: str, path: str, body: bytes = b"") -> bytes | None:
        """The answer; empty if nobody is there any more, None if there is but says nothing."""
        headers = [("host", socket.stem), ("content-length", str(len(body)))]
        request = Request(method, path, headers, BytesBody(body))
        try:
            return (await self._client.whole(f"unix:{socket}", request, self._patience, most=_MOST)).body
        except (TimeoutError, Unanswered):
            log.warning("the router at %s did not answer in time", socket.name)
            return None
        except (Unreachable, AnswerLost):
            return b""  # it has ended, and has left what it counted in a file


@dataclass(frozen=True, slots=True)
class _Watched:
    routers: Routers
    address: str

    async def doubt(self, seconds: float) -> bool:
        return await self.routers.doubt(self.address, seconds)

    def excused(self) -> bool:
        """A request out of a queue may keep all workers of a container from answering for an hour."""
        return self.routers.own.at(self.address) > 0

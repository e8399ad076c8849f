"""Control is asked to load a model; once, however many requests wait for it."""

from __future__ import annotations

import asyncio
import json
import logging
from time import perf_counter
from typing import Any

from wildsage.core import multimodel
from wildsage.core.errors import ApiError
from wildsage.core.routes import Endpoint, endpoint_key
from wildsage.dataplane import answers
from wildsage.dataplane.multimodel.places import Place
from wildsage.dataplane.table import Slot
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Pool, Unreachable
from wildsage.wire.http.messages import BytesBody, Request

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.05
_MOST_SECONDS = 360.0
_FAULT = "The model could not be loaded; the server's log says why. Try your request again."


class InstanceGone(Exception):
    """Control does not know the instance any more, or cannot reach it; routers will hear of that."""


class Asking:
    """``control``: the address of its socket for models."""

    def __init__(self, pool: Pool, control: str) -> None:
        self._client = Client(pool)
        self._control = control
        self._asked: dict[tuple[str, str], asyncio.Task[Place]] = {}

    def load(self, endpoint: Endpoint, account: str, slot: Slot, target: str) -> asyncio.Task[Place]:
        """The model's place once it is loaded. The work goes on if nobody waits for it any more: shield it.

        Raises ApiError as the client shall see it, and InstanceGone.
        """
        key = (slot.instance.address, target)
        found = self._asked.get(key)
        if found is None:
            task = asyncio.get_running_loop().create_task(self._load(endpoint, account, slot, target))
            found = self._asked[key] = task
            task.add_done_callback(lambda _: self._over(key, task))
        return found

    def _over(self, key: tuple[str, str], task: asyncio.Task[Place]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # whoever still waits has it from the task; it may be that nobody does

    async def _load(self, endpoint: Endpoint, account: str, slot: Slot, target: str) -> Place:
        question = _question(endpoint, slot, target)
        deadline = perf_counter() + _MOST_SECONDS
        while True:
            try:
                status, said = await self._ask(multimodel.LOAD, question)
            except (Unreachable, AnswerLost) as error:  # control starts again; what it had begun is asked for once more
                if perf_counter() > deadline:
                    words = "The control plane, which loads models, is not running; loaded models still answer."
                    raise answers.unavailable(words) from error
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if status == 200:
                place = Place(slot, target, said["address"], said["path"], said["keep"])
                slot.models[target] = place
                return place
            if status == 404:
                raise InstanceGone
            if status == 424:
                raise answers.model_error(endpoint, account, said["status"], said["body"].encode())
            raise ApiError(said.get("code", "InternalFailure"), said.get("message", _FAULT), status)

    async def unload(self, endpoint: Endpoint, place: Place) -> None:
        """It is not to be kept; without control it stays."""
        try:
            await self._ask(multimodel.UNLOAD, _question(endpoint, place.slot, place.target))
        except (Unreachable, AnswerLost) as error:
            log.warning("model %s stays loaded: %s", place.target, error)

    async def _ask(self, path: str, question: dict[str, str]) -> tuple[int, Any]:
        """Status and what is said; nothing is said of a fault of control's, but in its log."""
        body = json.dumps(question).encode()
        request = Request("POST", path, [("host", "control"), ("content-length", str(len(body)))], BytesBody(body))
        found = await self._client.whole(self._control, request)
        return found.status, json.loads(found.body or b"{}")

    def close(self) -> None:
        for task in list(self._asked.values()):
            task.cancel()


def _question(endpoint: Endpoint, slot: Slot, target: str) -> dict[str, str]:
    return {"endpoint": endpoint_key(endpoint.region, endpoint.name), "instance": slot.instance.id, "model": target}

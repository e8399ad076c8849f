"""What routers ask of control about models: to load one, or to unload one that is not to be kept.

Everything that lasts is with the container and on its instance's disk, so control may be killed at any moment: what it
was asked is asked again, and what had been loaded by then counts as loaded.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildsage.core.errors import ApiError, JobFault
from wildsage.core.multimodel import LOAD, UNLOAD
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.fleet import Instance, Variant
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.multimodel.container import Container
from wildsage.services.sagemaker.endpoints.multimodel.counting import Counting
from wildsage.services.sagemaker.endpoints.multimodel.shelf import Common, Shelf, Source, Unloadable
from wildsage.services.sagemaker.endpoints.multimodel.turns import Turns
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.instance import roles
from wildsage.services.sagemaker.instance.places import parse
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.models.launch import MODELS
from wildsage.store.resources import Key
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

log = logging.getLogger(__name__)

_MOST_BYTES = 64 * 1024
_AT_ONCE, _TURN_SECONDS = 16, 20.0
"""Models of one instance that are fetched and loaded at a time; the rest waits for its turn. What takes longer goes on,
and counts no more: models that never come to be loaded must not keep others from it."""

_Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Found:
    endpoint: Key
    instance: Instance
    variant: Variant


class Loading:
    """Of one control process."""

    def __init__(self, platform: Platform, routers: Routers, client: Client, counting: Counting) -> None:
        self._platform = platform
        self._routers = routers
        self._client = client
        self._counting = counting
        self._shelves: dict[str, tuple[Shelf, Turns]] = {}
        self._common: dict[tuple[Key, str, str], Common] = {}

    async def run(self) -> None:
        """Answers until cancelled."""
        server = await start_server(self._handle, path=self._platform.settings.data.models_socket)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await server.close(0.5)

    async def _handle(self, request: Request) -> Response:
        question = json.loads(await request.body.read(_MOST_BYTES))
        if request.path == LOAD:
            status, said = await self._load(question)
        elif request.path == UNLOAD:
            status, said = await self._unload(question)
        else:
            status, said = 400, {"code": "ValidationError", "message": f"POST {LOAD} or {UNLOAD}"}
        return Response(status, [("content-type", "application/json")], json.dumps(said).encode())

    async def _load(self, question: dict[str, str]) -> _Answer:
        found = await self._find(question)
        if found is None:
            return 404, {}
        shelf, turns = self._shelf(found)
        try:
            source = await self._source(found)
            async with turns.one():
                address, path = await shelf.load(question["model"], source)
        except Unloadable as error:
            return 424, {"status": error.answer.status, "body": error.answer.body.decode(errors="replace")}
        except ApiError as error:
            return error.status, {"code": error.code, "message": error.message}
        except JobFault as error:
            return 400, {"code": "ValidationError", "message": str(error)}
        except (Unreachable, AnswerLost, TimeoutError) as error:
            log.warning("model %s was not loaded: %s", question["model"], error)
            shelf.forget()
            return 404, {}
        except OSError as error:
            words = f"Model {question['model']} cannot be put on the disk of its instance: {error.strerror or error}"
            return 503, {"code": "ServiceUnavailable", "message": words}
        return 200, {"address": address, "path": path, "keep": found.variant.containers[0].caches}

    async def _unload(self, question: dict[str, str]) -> _Answer:
        found = await self._find(question)
        if found is not None:
            try:
                await self._shelf(found)[0].unload(question["model"])
            except (OSError, TimeoutError) as error:
                log.warning("model %s was not unloaded: %s", question["model"], error)
        return 200, {}

    async def _find(self, question: dict[str, str]) -> _Found | None:
        region, _, name = question["endpoint"].partition("/")
        key = Key(ENDPOINT.name, self._platform.settings.account, region, name)
        endpoint = await self._platform.resources.get(key)
        if endpoint is None:
            return None
        state = fleet.load(endpoint.state)
        instance = state.instances.get(question["instance"])
        if instance is None or instance.stage not in (fleet.SERVING, fleet.RETIRED):
            return None
        variant = state.variant_of(instance)
        return None if variant is None else _Found(key, instance, variant)

    def _shelf(self, found: _Found) -> tuple[Shelf, Turns]:
        known = self._shelves.get(found.instance.id)
        if known is None:
            self._prune()
            clock, variant = self._platform.clock, found.variant
            one = (found.endpoint, variant.name, str(variant.model["ModelName"]))
            shelf = Shelf(
                self._folder(found.instance),
                Container(self._client, found.instance.address),
                self._routers,
                self._common.setdefault(one, Common(clock)),
                self._counting.of(found.endpoint, variant.name),
            )
            known = self._shelves[found.instance.id] = (shelf, Turns(_AT_ONCE, _TURN_SECONDS, clock))
        return known

    def _prune(self) -> None:
        """Instances that are gone have no folder any more."""
        for name in list(self._shelves):
            if not self._shelves[name][0].folder.exists():
                del self._shelves[name]

    def _folder(self, instance: Instance) -> Path:
        return self._platform.settings.data.instances / f"host-{instance.id}" / MODELS

    async def _source(self, found: _Found) -> Source:
        model = found.variant.model
        caller = await roles.assume(self._platform, model["ExecutionRoleArn"])
        prefix = found.variant.containers[0].data.uri
        return Source(
            parse(prefix), Transfers(self._platform.calls, caller, found.endpoint.region), found.variant.volume
        )

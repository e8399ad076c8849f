"""Routers hear of tags that were changed: policies may depend on them."""

from __future__ import annotations

import asyncio
import logging

from wildsage.kit.context import Platform
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, TAGGED
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.store.resources import Key

log = logging.getLogger(__name__)


class Tagging:
    """Publishes endpoints whose tags were changed."""

    def __init__(self, platform: Platform, routes: RoutePublisher) -> None:
        self._routes = routes
        self._changed: set[Key] = set()
        self._stir = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._ended = False
        platform.hints.listen(TAGGED, self._on_tagged)

    def _on_tagged(self, about: str) -> None:
        self._changed.add(Key(ENDPOINT.name, *about.split()))
        self._stir.set()
        if not self._ended:
            self._settled.clear()

    async def run(self) -> None:
        """Until cancelled."""
        self._ended = False
        if self._changed:
            self._settled.clear()
        try:
            while True:
                await self._stir.wait()
                self._stir.clear()
                while self._changed:
                    await self._publish(self._changed.pop())
                if not self._stir.is_set():
                    self._settled.set()
        finally:
            self._ended = True  # nobody need wait for what is not told before this runs again
            self._settled.set()

    async def _publish(self, key: Key) -> None:
        try:
            await self._routes.publish(key)
        except OSError:
            log.exception("the routing snapshot could not be written")
        except BaseException:
            self._on_tagged(f"{key.account} {key.region} {key.name}")  # for when this runs again
            raise

    async def settled(self) -> None:
        """Returns once every change so far is in force at every router, while ``run`` runs."""
        await self._settled.wait()

"""Routers hear of tags that were changed: policies may depend on them."""

from __future__ import annotations

import logging

from wildsage.kit.context import Platform
from wildsage.kit.settling import Settling
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, TAGGED
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.store.resources import Key

log = logging.getLogger(__name__)


class Tagging:
    """Publishes endpoints whose tags were changed."""

    def __init__(self, platform: Platform, routes: RoutePublisher) -> None:
        self._routes = routes
        self._changed: set[Key] = set()
        self._settling = Settling()
        platform.hints.listen(TAGGED, self._on_tagged)

    def _on_tagged(self, about: str) -> None:
        self._changed.add(Key(ENDPOINT.name, *about.split()))
        self._settling.change()

    async def run(self) -> None:
        """Until cancelled."""
        await self._settling.run(self._publish)

    async def _publish(self) -> None:
        while self._changed:
            key = self._changed.pop()
            try:
                await self._routes.publish(key)
            except OSError:  # told for each, for the others are published all the same
                log.exception("the routing snapshot could not be written")
            except BaseException:
                self._changed.add(key)
                raise

    async def settled(self) -> None:
        """Returns once every change so far is in force at every router, while ``run`` runs."""
        await self._settling.settled()

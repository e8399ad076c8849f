"""Metrics of loading: Developer Guide, "SageMaker AI multi-model endpoint metrics".

ModelDownloadingTime, ModelLoadingTime and ModelUnloadingTime are kept until somebody reads metrics, or the minute is
over; ModelCacheHit and ModelLoadingWaitTime are counted by routers (``endpoints.traffic``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from functools import partial

from wildsage.core.routes import MULTI_MODEL
from wildsage.kit.context import Platform
from wildsage.kit.metrics import publish
from wildsage.services.sagemaker.endpoints.kind import LOG_GROUPS
from wildsage.services.sagemaker.endpoints.multimodel.container import Container
from wildsage.services.sagemaker.endpoints.multimodel.shelf import Measure
from wildsage.services.sagemaker.endpoints.traffic import NAMESPACE, Endpoints
from wildsage.store.metrics import Datum, Metric
from wildsage.store.resources import Key
from wildsage.store.summaries import of_values
from wildsage.wire.http.client import Client

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
"""Whoever reads metrics waits for it."""
_JUST_BEFORE = 0.5
"""A look at a full minute is about the minute that ends there."""


class Counting:
    """The meter of models that are loaded and unloaded."""

    def __init__(self, platform: Platform, client: Client, endpoints: Endpoints) -> None:
        self._platform = platform
        self._client = client
        self._endpoints = endpoints
        self._done: dict[Metric, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        platform.meters.add(self.read)

    def of(self, endpoint: Key, variant: str) -> Measure:
        """Takes what is measured of one variant."""
        return partial(self._take, endpoint.account, endpoint.region, endpoint.name, variant)

    def _take(self, account: str, region: str, endpoint: str, variant: str, name: str, seconds: float) -> None:
        metric = Metric(account, region, NAMESPACE, name, _dimensions(endpoint, variant))
        self._done[metric][round(seconds * 1e6)] += 1

    async def read(self) -> None:
        """Publishes what was done since the last look, and how many models each instance has loaded."""
        at = self._platform.clock.now() - _JUST_BEFORE
        done, self._done = self._done, defaultdict(lambda: defaultdict(float))
        data = [Datum(metric, at, of_values(values), "Microseconds") for metric, values in done.items()]
        data += [Datum(metric, at, of_values({float(count): 1.0}), "None") for metric, count in await self._counts()]
        if data:
            await publish(self._platform, data)

    async def _counts(self) -> list[tuple[Metric, int]]:
        """Of each instance that answers."""
        asked = []
        for endpoint in self._endpoints().values():
            for variant in endpoint.variants:
                dimensions = _dimensions(endpoint.name, variant.name)
                metric = Metric(
                    self._platform.settings.account, endpoint.region, LOG_GROUPS, "LoadedModelCount", dimensions
                )
                if variant.mode == MULTI_MODEL:
                    asked += [self._count(metric, instance.address) for instance in variant.instances]
        return [found for found in await asyncio.gather(*asked) if found is not None]

    async def _count(self, metric: Metric, address: str) -> tuple[Metric, int] | None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return metric, len(await Container(self._client, address).loaded())
        except (OSError, TimeoutError) as error:
            log.info("models are not counted: %s", error)
            return None


def _dimensions(endpoint: str, variant: str) -> tuple[tuple[str, str], ...]:
    return (("EndpointName", endpoint), ("VariantName", variant))

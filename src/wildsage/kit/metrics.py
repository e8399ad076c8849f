"""Metrics, as every service publishes them."""

from __future__ import annotations

from collections.abc import Iterable

from wildsage.kit.context import Platform
from wildsage.store.metrics import Datum, Metrics

PUBLISHED = "metrics published"
"""The hint that there are new ones, about their namespace."""


async def publish(platform: Platform, data: Iterable[Datum]) -> None:
    """Durable on return. Raises OSError if the disk is full."""
    new = list(data)
    await Metrics(platform.database).add(new, platform.clock.now())
    announce(platform, new)


def announce(platform: Platform, data: Iterable[Datum]) -> None:
    """Tells whoever watches metrics that these are in the store."""
    for namespace in {each.metric.namespace for each in data}:
        platform.hints.notify(PUBLISHED, about=namespace)

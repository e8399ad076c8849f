"""Metrics, as every service publishes them."""

from __future__ import annotations

from collections.abc import Iterable

from wildsage.kit.context import Platform
from wildsage.store.metrics import Datum, Metrics

PUBLISHED = "metrics published"
"""The hint that there are new ones."""


async def publish(platform: Platform, data: Iterable[Datum]) -> None:
    """Durable on return. Raises OSError if the disk is full."""
    await Metrics(platform.database).add(data, platform.clock.now())
    platform.hints.notify(PUBLISHED)

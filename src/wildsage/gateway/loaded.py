"""Stage 5: a service that is still being loaded, right after the start, is waited for."""

from __future__ import annotations

from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts


async def loaded(parts: Parts, exchange: Exchange) -> None:
    """Returns once all is there that says whether the caller may, and answers."""
    if exchange.service not in parts.services:
        await parts.complete.wait()

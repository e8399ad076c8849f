"""Whose doing it is that a container ended: a model that it was loading.

A model that was being loaded when its container ended is suspected: from then on it is loaded while no other is. If the
container ends again, it is that model's doing, and nobody tries it for a while, so that the other models are served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wildsage.core.clock import Clock
from wildsage.wire.http.client_connection import AnswerLost

_GIVEN_UP_SECONDS = 300.0
_ALONE_SECONDS = 20.0


class GivenUp(Exception):
    """It has ended its container, twice; said in words for whoever asks for it."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"The container ended twice while it loaded the model {target}, the second time with no other to load. "
            f"The model is not tried again for {_GIVEN_UP_SECONDS:g} seconds; the container's log says why it ended."
        )


class Blame:
    """What is held against the models of one variant, whatever instances they are loaded at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._suspected: set[str] = set()
        self._given_up: dict[str, float] = {}

    def suspects(self, target: str) -> bool:
        return target in self._suspected

    def check(self, target: str) -> None:
        """Raises GivenUp."""
        until = self._given_up.get(target)
        if until is not None and self._clock.monotonic() < until:
            raise GivenUp(target)
        self._given_up.pop(target, None)

    def ended(self, target: str, alone: bool) -> None:
        """The container did while it loaded that; ``alone``: and no other, which it takes a suspect to be."""
        if alone:
            self._suspected.discard(target)
            self._given_up[target] = self._clock.monotonic() + _GIVEN_UP_SECONDS
        else:
            self._suspected.add(target)

    def cleared(self, target: str) -> None:
        self._suspected.discard(target)


class Hands:
    """What one container is loading."""

    def __init__(self, blame: Blame, clock: Clock) -> None:
        self._blame = blame
        self._clock = clock
        self._loading = 0
        self._alone = ""
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def loading(self, target: str) -> AsyncIterator[None]:
        """While the container loads it; that it ended shows as an AnswerLost. Raises GivenUp."""
        self._blame.check(target)
        while self._alone or (self._loading and self._blame.suspects(target)):
            await self._changed.wait()
            self._blame.check(target)
        self._loading += 1
        if self._blame.suspects(target):
            self._alone = target
        patience = asyncio.create_task(self._others_wait(target))
        try:
            yield
        except AnswerLost:
            self._blame.ended(target, self._alone == target)
            self._blame.check(target)
            raise
        else:
            self._blame.cleared(target)
        finally:
            patience.cancel()
            self._loading -= 1
            self._let_in(target)

    async def _others_wait(self, target: str) -> None:
        """Not for ever: what takes so long may never end."""
        await self._clock.sleep(_ALONE_SECONDS)
        self._let_in(target)

    def _let_in(self, target: str) -> None:
        if self._alone == target:
            self._alone = ""
        self._changed.set()
        self._changed = asyncio.Event()

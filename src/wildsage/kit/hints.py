"""Hints: "something changed, look now". Losing one costs time, never correctness."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable


class Hints:
    """Wakes whoever waits for a topic, and calls whoever listens to it."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._listeners: dict[str, list[Callable[[str], None]]] = defaultdict(list)

    def notify(self, topic: str, about: str = "") -> None:
        """Wakes all who wait for ``topic`` now; listeners also hear what it is about."""
        for waiter in self._waiters.pop(topic, ()):
            if not waiter.done():
                waiter.set_result(None)
        for listener in self._listeners.get(topic, ()):
            listener(about)

    def listen(self, topic: str, listener: Callable[[str], None]) -> None:
        self._listeners[topic].append(listener)

    async def wait(self, topic: str, timeout: float | None = None) -> bool:
        """True if notified, False after ``timeout`` seconds."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[topic].add(waiter)
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._leave(topic, waiter)

    def _leave(self, topic: str, waiter: asyncio.Future[None]) -> None:
        """Topics come and go, as queues do, and nothing is kept of one that nobody waits for."""
        waiters = self._waiters.get(topic, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiters.pop(topic, None)

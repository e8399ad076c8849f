"""Work on single instances that takes its time: it goes on while steps of their endpoint come and go.

A step ends as soon as anything has happened, so that it is in the store; what else is under way (a download, a start, a
last answer that is waited for) must not begin anew each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from wildsage.services.sagemaker.endpoints.fleet import Instance
from wildsage.store.resources import Key

Errand = asyncio.Task[Any]
Begin = Callable[[Instance], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class _Sent:
    instance: Instance
    task: Errand


class Errands:
    """Those of one control process. An instance has one at a time, for as long as nothing of it changes."""

    def __init__(self) -> None:
        self._sent: dict[Key, dict[str, _Sent]] = {}

    async def current(self, endpoint: Key, instances: Mapping[str, Instance], begin: Begin) -> dict[str, Errand]:
        """The errand of each instance; begun where there is none for it as it is now. All others are ended."""
        sent = self._sent.setdefault(endpoint, {})
        old = [name for name, each in sent.items() if instances.get(name) != each.instance]
        await _end([sent.pop(name) for name in old])
        for name, instance in instances.items():
            if name not in sent:
                task = asyncio.create_task(begin(instance), name=f"{instance.stage} {name}")
                sent[name] = _Sent(instance, task)
        if not sent:
            del self._sent[endpoint]
        return {name: each.task for name, each in sent.items()}

    async def end(self, endpoint: Key) -> None:
        """Ends those of an endpoint; nothing of them goes on when this returns."""
        await _end(list(self._sent.pop(endpoint, {}).values()))

    def forget(self, endpoint: Key, instance: str) -> None:
        """What came of a done errand shall not count: the next step sends another."""
        self._sent.get(endpoint, {}).pop(instance, None)

    async def close(self) -> None:
        """Ends all of them."""
        for endpoint in list(self._sent):
            await self.end(endpoint)


async def _end(sent: list[_Sent]) -> None:
    for each in sent:
        each.task.cancel()
    await asyncio.gather(*(each.task for each in sent), return_exceptions=True)

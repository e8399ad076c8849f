"""One engine that brings every kind of resource from what is to what was wished.

The engine claims due rows with a lease, runs one step of the kind's controller outside any transaction, and applies
what the step found, guarded by the lease and by the generation.  If the wish moves while a step is under way the step
is cancelled and a new one begins from the new wish; so steps must be safe to repeat.  Restart is the same path.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from wildsage.core.errors import ApiError, JobFault
from wildsage.kit.context import Platform
from wildsage.kit.kind import CHANGED, DUE, shown
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.resources import Key, Resource

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
IDLE_SECONDS = 5.0
_CLAIM = 16
_RETRY_SECONDS = (0.2, 1.0, 5.0, 30.0)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step found. ``after``: seconds until the next look (0: at once, None: never). ``gone``: take it away.

    ``beside``: what is to be written in the transaction that keeps it, such as facts about it.
    """

    phase: str
    status: Document
    state: Document
    after: float | None = None
    gone: bool = False
    beside: Sequence[Write] = ()


class Controller(Protocol):
    """Brings resources of ``kind`` one step further."""

    kind: str

    async def step(self, resource: Resource) -> Step:
        """One step; ``resource`` is the controller's own copy. A raised error means: try again later."""
        ...

    def give_up(self, resource: Resource, reason: str) -> Step | None:
        """What becomes of a resource whose step keeps failing for no foreseen reason; None: go on trying.

        ``reason`` is a FailureReason.
        """
        ...


class Engine:
    """Runs the controllers of one control process."""

    def __init__(self, platform: Platform, controllers: Sequence[Controller]) -> None:
        self._platform = platform
        self._controllers = {controller.kind: controller for controller in controllers}
        self._tasks: set[asyncio.Task[None]] = set()
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._moved: set[str] = set()
        self._failures: dict[Key, int] = {}
        platform.hints.listen(CHANGED, self._interrupt)

    async def run(self) -> None:
        """Until cancelled; steps under way are cancelled with it and give their leases back."""
        try:
            while True:
                try:
                    if await self._claim() < _CLAIM:
                        await self._rest()
                except OSError as error:
                    log.warning("the engine cannot go on: %s; again in %s s", error, IDLE_SECONDS)
                    await self._platform.clock.sleep(IDLE_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _claim(self) -> int:
        """Begins the steps of what is due, at most ``_CLAIM`` of them; how many."""
        await asyncio.sleep(0)  # what was claimed before has begun, and knows whether its wish had moved
        self._moved.clear()
        now = self._platform.clock.now()
        claimed = await self._platform.resources.claim(list(self._controllers), now, now + LEASE_SECONDS, _CLAIM)
        for resource in claimed:
            task = asyncio.create_task(self._begin(resource), name=f"step {resource.key!r}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claimed)

    async def _begin(self, claimed: Resource) -> None:
        """From here on the task may be cancelled: one that never ran would not give its lease back."""
        name, task = repr(claimed.key), asyncio.current_task()
        if name in self._moved:  # while it was claimed
            await self._keep_found(claimed, claimed)
        elif task is not None:
            self._steps[name] = task
            try:
                await self._work(claimed)
            finally:
                if self._steps.get(name) is task:
                    del self._steps[name]

    async def _rest(self) -> None:
        """Waits for a hint or for the next due row."""
        # Listening starts before the look at the table, so that a hint in between is not missed.
        hint = asyncio.ensure_future(self._platform.hints.wait(DUE))
        try:
            due = await self._platform.resources.next_due(list(self._controllers))
            wait = IDLE_SECONDS if due is None else min(max(due - self._platform.clock.now(), 0.0), IDLE_SECONDS)
            alarm = asyncio.ensure_future(self._platform.clock.sleep(wait))
            await asyncio.wait({hint, alarm}, return_when=asyncio.FIRST_COMPLETED)
            alarm.cancel()
        finally:
            hint.cancel()

    def _interrupt(self, name: str) -> None:
        self._moved.add(name)
        if name in self._steps:
            self._steps[name].cancel()

    async def _work(self, claimed: Resource) -> None:
        """Steps of one resource, under one lease for as long as the next shall follow at once."""
        keeper = asyncio.create_task(self._keep(claimed))
        found: Resource | None = claimed
        gone = False
        beside: Sequence[Write] = ()
        try:
            while (step := await self._controllers[claimed.key.kind].step(claimed.copy())).after == 0:
                self._failures.pop(claimed.key, None)
                if not await self._apply_and_keep(claimed, following := self._found(claimed, step), step.beside):
                    found = None  # the wish has moved, and whoever claims it next begins at once
                    break
                found = claimed = following
                if _is_cancelled():
                    break
            else:
                self._failures.pop(claimed.key, None)
                found, gone, beside = self._found(claimed, step), step.gone, step.beside
        except asyncio.CancelledError:
            pass  # the wish moved, or the server stops: give the lease back so that whoever is next begins at once
        except (ApiError, JobFault, OSError) as error:
            found = self._postpone(claimed, error)
        except Exception as error:
            log.exception("step of %s failed", claimed.key)
            end = self._given_up(claimed, error)
            found = self._postpone(claimed, None) if end is None else self._found(claimed, end)
        finally:
            keeper.cancel()
        await self._keep_found(claimed, found, gone, beside)

    async def _apply_and_keep(self, claimed: Resource, found: Resource, beside: Sequence[Write]) -> bool:
        """Whether the next step may begin. If cancelled it returns all the same: what is kept must be known here."""
        now = self._platform.clock.now()
        applying = asyncio.ensure_future(self._platform.resources.apply(claimed, found, now, True, beside))
        while not applying.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(applying)
        self._platform.hints.notify(f"resource {claimed.key!r}")
        return applying.result()

    def _found(self, claimed: Resource, step: Step) -> Resource:
        now = self._platform.clock.now()
        changed = (step.phase, step.status) != (claimed.phase, claimed.status)
        return replace(
            claimed,
            phase=step.phase,
            status=step.status,
            state=step.state,
            modified=shown(now) if changed else claimed.modified,
            due=None if step.after is None else now + step.after,
        )

    def _given_up(self, claimed: Resource, error: Exception) -> Step | None:
        """Nobody waits for ever for what a bug keeps from happening: after the last wait the resource fails."""
        if self._failures.get(claimed.key, 0) < len(_RETRY_SECONDS):
            return None
        reason = f"InternalServerError: {type(error).__name__}: {error}. The server's log (logs/control.log) has more."
        step = self._controllers[claimed.key.kind].give_up(claimed.copy(), reason)
        if step is not None:
            del self._failures[claimed.key]
        return step

    def _postpone(self, claimed: Resource, error: Exception | None) -> Resource:
        count = self._failures.get(claimed.key, 0)
        self._failures[claimed.key] = count + 1
        wait = _RETRY_SECONDS[min(count, len(_RETRY_SECONDS) - 1)]
        if error is not None:
            log.warning("step of %s: %s: %s; again in %s s", claimed.key, type(error).__name__, error, wait)
        return replace(claimed, due=self._platform.clock.now() + wait)

    async def _keep_found(
        self, claimed: Resource, found: Resource | None, gone: bool = False, beside: Sequence[Write] = ()
    ) -> None:
        """The lease is given back with it. None: nothing is found, and the lease is given back already."""
        resources, now = self._platform.resources, self._platform.clock.now()
        over = False
        try:
            if gone:
                over = await resources.apply_removal(claimed, now, beside)
            elif found is not None:
                over = await resources.apply(claimed, found, now, beside=beside) and found.due is None
        except OSError as error:
            # What was found is lost; once the lease is over the step is done again, as after a crash.
            log.warning("what a step of %s found cannot be kept: %s", claimed.key, error)
            return
        if not over:
            self._platform.hints.notify(DUE)
        self._platform.hints.notify(f"resource {claimed.key!r}")

    async def _keep(self, claimed: Resource) -> None:
        """Renews the lease while a long step works."""
        while True:
            await self._platform.clock.sleep(LEASE_SECONDS / 3)
            await self._platform.resources.renew(claimed, self._platform.clock.now() + LEASE_SECONDS)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

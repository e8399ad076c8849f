"""Invocations of multi-model endpoints: straight to the loaded model, or once it is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

from wildsage.core.background import Background
from wildsage.core.errors import ApiError
from wildsage.core.routes import Endpoint
from wildsage.dataplane.answers import TARGET_MODEL
from wildsage.dataplane.invocation import Asked, Invocation
from wildsage.dataplane.multimodel.asking import Asking, InstanceGone
from wildsage.dataplane.multimodel.places import Place, another, loaded_at, preferred
from wildsage.dataplane.stateful import Sessions
from wildsage.dataplane.table import LiveVariant, Slot, Table
from wildsage.wire.http.client_connection import AnswerLost, Pool, Unreachable
from wildsage.wire.http.exchange import Exchange

_PLAIN = "/invocations"
_LINE = f"POST {_PLAIN} ".encode()
_RETRY_SECONDS = 0.05
_NOT_LOADED = 404


class Home(Protocol):
    """Where an invocation goes back to."""

    def again(self, invocation: ModelInvocation) -> None:
        """Its container does not know the model: it has begun anew, or unloaded it by itself."""
        ...

    def unused(self, endpoint: Endpoint, place: Place) -> None:
        """Nothing is under way at ``place`` any more, and it is not to be kept."""
        ...


class ModelInvocation(Invocation):
    """One whose model is ``target``. ``place``: where it is, once it is loaded."""

    __slots__ = ("_body", "_head", "_home", "_said_unknown", "place", "target")

    def __init__(
        self,
        exchange: Exchange,
        asked: Asked,
        variant: LiveVariant,
        sessions: Sessions,
        done: Callable[[Invocation], None],
        target: str,
        home: Home,
    ) -> None:
        super().__init__(exchange, asked, variant, sessions, done)
        self.target = target
        self.place: Place | None = None
        self._home = home
        self._head = asked.head
        self._body: bytes | None = None  # for another try
        self._said_unknown = False

    def at(self, place: Place) -> None:
        """It goes there next."""
        self.place = place
        self.slot = slot = place.slot
        slot.outstanding += 1
        place.begin()
        if place.path != _PLAIN:
            self.asked.head = b"POST " + place.path.encode() + b" " + self._head.removeprefix(_LINE)
            if not self._said_unknown:
                self._body = self.asked.body  # the container may say that it does not know the model

    def away(self) -> None:
        """The model is not there; nothing was sent, or nothing came of it."""
        place, self.place, self.slot = self.place, None, None
        if place is not None:
            place.end()
            place.forget()
            place.slot.outstanding -= 1
        self.asked.head = self._head

    def time_out(self) -> None:
        if self.connection is not None:
            super().time_out()
            return
        words = f"Model {self.target} is still being downloaded or loaded. Wait and try your request again."
        self.fail(ApiError("ModelNotReadyException", words, 429))

    def _goes_on(self) -> bool:
        if self._status != _NOT_LOADED or self._said_unknown or self._body is None:
            return False
        self._said_unknown = True
        self._status, self._headers, self._parts, self._size = 0, [], [], 0
        self.asked.body, self._body = self._body, None
        self.away()
        self._home.again(self)
        return True

    def on_lost(self, error: AnswerLost) -> None:
        if self.place is not None and not self.over:  # if it is, we hung up
            self.place.forget()  # its process may have died; control knows
        super().on_lost(error)

    def _finish(self) -> None:
        super()._finish()
        place = self.place
        if place is not None:
            place.end()
            if not place.keep and not place.outstanding:
                self._home.unused(self.asked.endpoint, place)


class Models:
    """The models of all multi-model endpoints, as one router knows them."""

    def __init__(self, table: Table, pool: Pool, control: str) -> None:
        self._table = table
        self._pool = pool
        self._asking = Asking(pool, control)
        self._background = Background()

    def loaded(self, variant: LiveVariant, options: Mapping[str, str]) -> Place | None:
        """Where the TargetModel is loaded. None: it is not, or goes by another name, or is none."""
        return loaded_at(variant.slots, options.get(TARGET_MODEL, ""))

    def start(self, invocation: ModelInvocation, place: Place | None) -> None:
        """Sends it over a kept connection to its model if there is one, else as soon as possible.

        ``place``: where that is loaded, if ``loaded`` has just said so.
        """
        counters = invocation.variant.counters
        place = place or loaded_at(invocation.variant.slots, invocation.target)
        if place is None:
            counters.model_misses += 1
            self._background.begin(self._bring(invocation))
            return
        counters.model_hits += 1
        invocation.at(place)
        if place.outstanding > 1 and (slot := another(invocation.variant.slots, place)) is not None:
            self._load(invocation, slot)
        while (connection := self._pool.take(place.address)) is not None:
            if invocation.send(connection):
                return
        self._background.begin(self._reach_or_bring(invocation, place))

    def again(self, invocation: ModelInvocation) -> None:
        """Takes it back, to send it once the model is loaded again."""
        connection, invocation.connection = invocation.connection, None
        if connection is not None:
            self._pool.give(connection)
        invocation.deadline = perf_counter() + invocation.asked.seconds
        self._background.begin(self._bring(invocation))

    def unused(self, endpoint: Endpoint, place: Place) -> None:
        self._background.begin(self._asking.unload(endpoint, place))

    def used(self, question: Mapping[str, Any]) -> object:
        """See ``core.multimodel``."""
        now, slot = perf_counter(), self._table.slot(question["address"])
        places: dict[str, Place] = {} if slot is None else slot.models
        return {
            "models": {
                target: {"idle": now - place.used, "outstanding": place.outstanding} for target, place in places.items()
            }
        }

    def release(self, question: Mapping[str, Any]) -> object:
        """See ``core.multimodel``."""
        slot = self._table.slot(question["address"])
        place: Place | None = None if slot is None else slot.models.get(question["model"])
        if place is not None:
            if place.outstanding:
                return {"released": False}
            place.forget()
        return {"released": True}

    def close(self) -> None:
        self._asking.close()
        self._background.cancel()

    # inside

    def _load(self, invocation: ModelInvocation, slot: Slot) -> asyncio.Task[Place]:
        asked = invocation.asked
        return self._asking.load(asked.endpoint, asked.account, slot, invocation.target)

    def _slots(self, invocation: ModelInvocation) -> Sequence[Slot]:
        """The variant's instances now; they may have become others while the request waited."""
        slots = [slot for slot in invocation.variant.slots if self._table.slot(slot.instance.address) is slot]
        if slots:
            return slots
        endpoint = invocation.asked.endpoint
        live = self._table.endpoint(endpoint.region, endpoint.name)
        variant = None if live is None else live.named(invocation.variant.variant.name)
        return [] if variant is None else variant.slots

    async def _reach_or_bring(self, invocation: ModelInvocation, place: Place) -> None:
        if not await self._reach(invocation, place):
            await self._bring(invocation)

    async def _bring(self, invocation: ModelInvocation) -> None:
        """Tries until the model is loaded and has the request, or the request's time is over."""
        began = perf_counter()
        while not invocation.over:
            slots = self._slots(invocation)
            place = loaded_at(slots, invocation.target)
            if place is None and slots:
                place = await self._loaded(invocation, preferred(slots, invocation.target)[0])
            if place is not None and not _over(invocation):
                invocation.at(place)
                if await self._reach(invocation, place):
                    invocation.variant.counters.waited_for_model(round((perf_counter() - began) * 1e6))
                    return
            if not _over(invocation):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _loaded(self, invocation: ModelInvocation, slot: Slot) -> Place | None:
        """None: not at that instance."""
        try:
            return await asyncio.shield(self._load(invocation, slot))
        except InstanceGone:
            slot.refused(perf_counter())
        except ApiError as error:
            if not invocation.over:
                invocation.fail(error)
        return None

    async def _reach(self, invocation: ModelInvocation, place: Place) -> bool:
        """Whether the request is there, or over; if not, the model is not."""
        connection = self._pool.take(place.address)
        try:
            connection = connection or await self._pool.connect(place.address)
        except Unreachable:
            if not invocation.over:
                invocation.away()
            return invocation.over
        if invocation.send(connection):
            return True
        if invocation.over:
            if not connection.transport.is_closing():
                self._pool.give(connection)
            return True
        invocation.away()
        return False


def _over(invocation: ModelInvocation) -> bool:
    """It may be by now, since others had their turn meanwhile."""
    return invocation.over

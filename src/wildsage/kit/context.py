"""What an operation or a controller has at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from wildsage.core.caller import Caller
from wildsage.core.clock import Clock
from wildsage.core.credentials import ServerCredentials
from wildsage.core.settings import Settings
from wildsage.kit.hints import Hints
from wildsage.kit.meters import Meters
from wildsage.objects.base import Objects
from wildsage.runtimes.base import Runtime
from wildsage.store.codec import Document
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resources
from wildsage.wire.http.messages import Request


class Calls(Protocol):
    """Calls of one service by another, made as a principal: authorized and audited like a client's."""

    async def call(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Document:
        """What a client of ``caller`` would get: the output document; raises ApiError as the client would see it.

        A streaming input is a Body; a streaming output comes back as the service gave it (FileBody or async iterator).
        """
        ...

    async def allowed(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> bool:
        """Whether ``caller`` may make that call; nothing is done, and nothing recorded."""
        ...


@dataclass(slots=True)
class Platform:
    """The parts of one control process, put together in ``compose``."""

    settings: Settings
    credentials: ServerCredentials
    clock: Clock
    database: Database
    resources: Resources
    facts: Facts
    hints: Hints
    calls: Calls
    runtimes: Mapping[str, Runtime]
    objects: Objects
    meters: Meters = field(init=False)

    def __post_init__(self) -> None:
        self.meters = Meters(self.clock)


@dataclass(frozen=True, slots=True)
class Context:
    """One call of one operation. ``request`` is the HTTP request behind it; None for a call by another service.

    ``refused``: ARN and version of those parts of the call that the caller is not allowed (objects of DeleteObjects).
    """

    platform: Platform
    caller: Caller
    region: str
    service: str
    operation: str
    request_id: str
    request: Request | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    refused: Collection[tuple[str, str | None]] = ()

    @property
    def account(self) -> str:
        return self.caller.account

    @property
    def now(self) -> float:
        return self.platform.clock.now()

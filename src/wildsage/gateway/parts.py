"""What the stages work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from wildsage.access.decisions import Identity
from wildsage.access.guards import Guard
from wildsage.access.policies import Policy
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.kit.operation import Service
from wildsage.store.codec import Document
from wildsage.wire.http.messages import Headers, Request, Response


class Signer(Protocol):
    """A long-lived access key."""

    @property
    def secret(self) -> str: ...
    @property
    def caller(self) -> Caller: ...


class Principals(Protocol):
    """Who is who (``services.iam.directory``)."""

    async def key(self, access_key: str) -> Signer | None: ...

    async def identity(self, caller: Caller) -> Identity | None: ...

    async def trust(self, role: str) -> Policy | None: ...


class Guards(Protocol):
    """What resources say about calls (``services.s3.guards``)."""

    async def __call__(
        self, service: str, caller: Caller, action: str, resource: str, version: str | None, /
    ) -> Guard: ...


async def no_guards(_service: str, _caller: Caller, _action: str, _resource: str, _version: str | None) -> Guard:
    """For services whose resources say nothing."""
    return Guard()


def by_service(guards: Mapping[str, Guards]) -> Guards:
    """Asks those of the service; the resources of any other say nothing."""

    async def ask(service: str, caller: Caller, action: str, resource: str, version: str | None) -> Guard:
        return await guards.get(service, no_guards)(service, caller, action, resource, version)

    return ask


class CrossOrigin(Protocol):
    """What browsers may do with S3 from other origins (``services.s3.cors``)."""

    async def preflight(self, request: Request, /) -> Headers: ...

    async def headers(self, request: Request, /) -> Headers: ...


class Password(Protocol):
    """What opens the container registry (``services.ecr.tokens.Grant``): whose it is, and what narrows it."""

    @property
    def caller(self) -> Caller: ...
    @property
    def policies(self) -> tuple[str, ...]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


Permit = Callable[[Any, str, str, Document], Awaitable[None]]
"""Raises ApiError unless whoever has a Password may do an operation of ECR's, in a region, with its parameters."""


class Registry(Protocol):
    """The container registry (``services.ecr.distribution.door``)."""

    async def __call__(self, request: Request, permit: Permit, /) -> Response: ...


Command = Callable[[Platform, str, str, Document], Awaitable[Document]]
"""What an operator may ask (``commands``): given the account, the region and the parameters."""


@dataclass(slots=True)
class Parts:
    """``services``: what is implemented, by botocore's name; at first those that stand before the rest is loaded.

    ``guards``: what the resource of an ARN says. ``commands``: what operators may ask, by name. ``complete``: set once
    ``take`` has brought the rest.
    """

    platform: Platform
    principals: Principals
    services: Mapping[str, Service]
    guards: Guards = no_guards
    commands: Mapping[str, Command] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    _cross_origin: CrossOrigin | None = None
    _registry: Registry | None = None

    def take(
        self,
        services: Mapping[str, Service],
        guards: Guards,
        cross_origin: CrossOrigin,
        commands: Mapping[str, Command],
        registry: Registry,
    ) -> None:
        """All there is; whoever waited for a part of it goes on."""
        self.services, self.guards, self._cross_origin, self.commands = services, guards, cross_origin, commands
        self._registry = registry
        self.complete.set()

    async def cross_origin(self) -> CrossOrigin:
        """What browsers may do; it comes with the rest."""
        await self.complete.wait()
        if self._cross_origin is None:
            raise RuntimeError("nothing says what browsers may do")
        return self._cross_origin

    async def registry(self) -> Registry:
        """The container registry; it comes with the rest."""
        await self.complete.wait()
        if self._registry is None:
            raise RuntimeError("there is no container registry")
        return self._registry

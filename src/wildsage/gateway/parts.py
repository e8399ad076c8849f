"""What the stages work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from wildsage.access.decisions import Identity
from wildsage.access.policies import Policy
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.kit.operation import Service


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


ResourcePolicy = Callable[[str, str], Awaitable[str | None]]


async def no_resource_policy(_service: str, _resource: str) -> str | None:
    """For services whose resources carry no policies."""
    return None


@dataclass(slots=True)
class Parts:
    """``services``: what is implemented, by botocore's name. ``resource_policy``: the policy document (JSON) on the
    resource of an ARN, given the service.
    """

    platform: Platform
    principals: Principals
    services: Mapping[str, Service]
    resource_policy: ResourcePolicy = no_resource_policy

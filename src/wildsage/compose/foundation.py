"""What stands before the health route says 200: the store, who may call, the door; the first services.

Everything else is in ``table``, which is loaded behind the open door; whoever asks for it before waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wildsage.core import credentials as server_credentials
from wildsage.core.caller import Caller
from wildsage.core.clock import SystemClock
from wildsage.core.settings import Settings
from wildsage.gateway.audit import Audit
from wildsage.gateway.door import Door
from wildsage.gateway.local import Reset
from wildsage.gateway.parts import Parts
from wildsage.gateway.snapshot import Snapshot
from wildsage.kit.context import Platform
from wildsage.kit.hints import Hints
from wildsage.objects.local import LocalObjects
from wildsage.services.iam.defaults import ensure_execution_role
from wildsage.services.iam.directory import Directory
from wildsage.services.iam.service import IAM
from wildsage.services.s3 import sweep
from wildsage.services.sts.service import STS
from wildsage.store.codec import Document
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resources
from wildsage.wire.http.client import Client

FIRST = (IAM, STS)
"""The services whose code the door needs anyway, or that every client asks first."""


@dataclass(slots=True)
class Foundation:
    """The parts that stand first. ``objects`` is ``platform.objects``, for whoever closes them."""

    platform: Platform
    parts: Parts
    door: Door
    audit: Audit
    snapshot: Snapshot
    client: Client
    objects: LocalObjects

    async def close(self) -> None:
        """Keeps what was accepted."""
        await self.audit.flush()
        self.client.close()
        self.objects.close()
        await self.platform.database.close()


class _LateCalls:
    """Calls before the door that answers them stands: the platform is made first."""

    def __init__(self) -> None:
        self.door: Door | None = None

    async def call(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Document:
        return await self._open().call(caller, region, service, operation, params)

    async def allowed(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> bool:
        return await self._open().allowed(caller, region, service, operation, params)

    def _open(self) -> Door:
        if self.door is None:
            raise RuntimeError("the door is not open yet")
        return self.door


async def lay(settings: Settings, reset: Reset | None = None) -> Foundation:
    """Opens the store, settles what a crash left there, and puts the first parts together."""
    data = settings.data
    try:
        credentials = server_credentials.load(data.credentials)
    except FileNotFoundError:
        credentials = server_credentials.create(data.credentials, settings.account)
    credentials = server_credentials.with_accounts(data.credentials, credentials, settings.accounts)
    database = await Database.open(data.database)
    objects = LocalObjects(data.objects)
    calls = _LateCalls()
    platform = Platform(
        settings=settings,
        credentials=credentials,
        clock=SystemClock(),
        database=database,
        resources=Resources(database),
        facts=Facts(database),
        hints=Hints(),
        calls=calls,
        runtimes={},
        objects=objects,
    )
    # This is the data directory's one control process (the supervisor holds its lock): older leases are nobody's.
    await platform.resources.release_all()
    await ensure_execution_role(platform)
    await sweep.recover(platform)
    directory = Directory(platform)
    client = Client()
    snapshot = Snapshot(platform, directory, client)
    await snapshot.renew()  # so that routers know who may call, on a first start too
    audit = Audit(platform)
    parts = Parts(platform, directory, {service.name: service for service in FIRST})
    calls.door = Door(parts, audit, reset)
    return Foundation(platform, parts, calls.door, audit, snapshot, client, objects)

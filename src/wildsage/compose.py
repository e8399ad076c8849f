"""The control process, and the only module that knows every part: services, runtimes, controllers, doors.

python -m wildsage.compose --data DIR --host H --port P [--ephemeral] [--lifeline FD]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from wildsage.core import credentials as server_credentials
from wildsage.core.caller import Caller
from wildsage.core.clock import SystemClock
from wildsage.core.settings import DataDir, Settings, account_id, region_name
from wildsage.gateway.audit import Audit
from wildsage.gateway.door import Door
from wildsage.gateway.parts import Parts
from wildsage.gateway.snapshot import Snapshot
from wildsage.images.environments import Environments
from wildsage.kit.context import Platform
from wildsage.kit.controller import Controller, Engine
from wildsage.kit.hints import Hints
from wildsage.kit.operation import Service
from wildsage.objects.local import LocalObjects
from wildsage.runtimes.base import Runtime
from wildsage.runtimes.sandbox.runtime import Sandbox
from wildsage.services.iam.defaults import ensure_execution_role
from wildsage.services.iam.directory import Directory
from wildsage.services.iam.service import IAM
from wildsage.services.logs.service import LOGS
from wildsage.services.s3 import sweep
from wildsage.services.s3.service import SERVICE as S3
from wildsage.services.sagemaker.endpoints.controller import EndpointController
from wildsage.services.sagemaker.endpoints.instances import Instances
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.services.sagemaker.instance.attendant import Attendants
from wildsage.services.sagemaker.instance.images import Images
from wildsage.services.sagemaker.service import SAGEMAKER
from wildsage.services.sagemaker.training.controller import TrainingController
from wildsage.services.sts.service import STS
from wildsage.store.codec import Document
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resources
from wildsage.wire.http.client import Client
from wildsage.wire.http.server import start_server

log = logging.getLogger(__name__)

SERVICES: tuple[Service, ...] = (
    IAM,
    LOGS,
    S3,
    SAGEMAKER,
    STS,
)

_GRACE_SECONDS = 5.0


class _LateCalls:
    """Calls before the door that answers them stands: the platform is made first."""

    def __init__(self) -> None:
        self.door: Door | None = None

    async def call(
        self, caller: Caller, region: str, service: str, operation: str, params: Mapping[str, Any]
    ) -> Document:
        if self.door is None:
            raise RuntimeError("the door is not open yet")
        return await self.door.call(caller, region, service, operation, params)


@dataclass(slots=True)
class Control:
    """One control process, put together."""

    platform: Platform
    door: Door
    audit: Audit
    snapshot: Snapshot
    engine: Engine
    attendants: Attendants
    client: Client
    objects: LocalObjects

    async def close(self) -> None:
        """Keeps what was accepted; containers go on."""
        await self.attendants.close()
        await self.audit.flush()
        self.client.close()
        self.objects.close()
        await self.platform.database.close()


def runtimes(settings: Settings) -> dict[str, Runtime]:
    """Every runtime of this machine, by name."""
    return {"sandbox": Sandbox(hidden=[settings.data.root])}


def controllers(platform: Platform, snapshot: Snapshot, attendants: Attendants) -> Sequence[Controller]:
    """Every controller."""
    runtime = platform.runtimes["sandbox"]
    images = Images(Environments(platform.settings.data.environments, os.environ))
    hosts = Instances(platform, runtime, images, attendants)
    return (
        TrainingController(platform, runtime, images, attendants),
        EndpointController(platform, hosts, RoutePublisher(platform, snapshot.push)),
    )


async def compose(settings: Settings) -> Control:
    """Opens the store and puts the parts together; nothing runs yet."""
    data = settings.data
    try:
        credentials = server_credentials.load(data.credentials)
    except FileNotFoundError:
        credentials = server_credentials.create(data.credentials, settings.account)
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
        runtimes=runtimes(settings),
        objects=objects,
    )
    # This is the data directory's one control process (the supervisor holds its lock): older leases are nobody's.
    await platform.resources.release_all()
    await ensure_execution_role(platform)
    await sweep.recover(platform)
    directory = Directory(platform)
    client = Client()
    snapshot = Snapshot(platform, directory, client)
    audit = Audit(platform)
    door = Door(Parts(platform, directory, {service.name: service for service in SERVICES}), audit)
    calls.door = door
    attendants = Attendants(platform)
    engine = Engine(platform, controllers(platform, snapshot, attendants))
    return Control(platform, door, audit, snapshot, engine, attendants, client, objects)


async def serve(settings: Settings, lifeline: int | None) -> None:
    """Runs until SIGTERM, SIGINT, or until whoever holds the other end of ``lifeline`` is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    control = await compose(settings)
    server = await start_server(control.door.handle, path=settings.data.control_socket, behind_router=True)
    gc.collect()
    gc.freeze()  # modules live for ever; collections need not look at them
    jobs: list[Coroutine[Any, Any, None]] = [
        control.engine.run(),
        control.audit.run(),
        control.snapshot.run(),
        sweep.run(control.platform),
    ]
    work = [asyncio.create_task(job) for job in jobs]
    waiting = asyncio.create_task(_wait(stop))
    done, _ = await asyncio.wait([waiting, *work], return_when=asyncio.FIRST_COMPLETED)
    await server.close(_GRACE_SECONDS)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    await control.close()
    for task in done - {waiting}:
        task.result()  # a part that ended by itself is a bug: let it be seen, and let the supervisor start us again


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wildsage.compose", description="The control process.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ephemeral", action="store_true")
    parser.add_argument("--lifeline", type=int, help="a pipe's end that closes when the supervisor is gone")
    return parser.parse_args()


def main() -> int:
    options = _options()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings(
        data=DataDir(Path(options.data).absolute()),
        host=options.host,
        port=options.port,
        region=region_name(os.environ),
        account=account_id(os.environ),
        ephemeral=options.ephemeral,
    )
    uvloop.run(serve(settings, options.lifeline))
    return 0


if __name__ == "__main__":
    sys.exit(main())

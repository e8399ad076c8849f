"""The control process, and the only module that knows every part: services, runtimes, controllers, doors.

python -m wildsage.compose --data DIR --host H --port P [--ephemeral] [--lifeline FD]
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # all that importing makes stays; looking for garbage in it costs a sixth of the start

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from wildsage.core import credentials as server_credentials
from wildsage.core import trees
from wildsage.core.caller import Caller
from wildsage.core.clock import SystemClock
from wildsage.core.jobs import job_settings
from wildsage.core.settings import (
    DataDir,
    Settings,
    account_id,
    environments_folder,
    file_systems,
    further_accounts,
    legacy_buckets,
    region_name,
)
from wildsage.core.upstream import s3_upstream
from wildsage.gateway.audit import Audit
from wildsage.gateway.commands import Command
from wildsage.gateway.door import Door
from wildsage.gateway.local import Reset
from wildsage.gateway.parts import Parts, by_service
from wildsage.gateway.snapshot import Snapshot
from wildsage.images.environments import Environments
from wildsage.images.requirements import FOLDER as REQUIREMENTS
from wildsage.images.requirements import Requirements
from wildsage.kit.context import Platform
from wildsage.kit.controller import Controller, Engine
from wildsage.kit.hints import Hints
from wildsage.kit.operation import Service
from wildsage.objects.local import LocalObjects
from wildsage.runtimes.base import Handle, Runtime
from wildsage.runtimes.sandbox.runtime import Sandbox
from wildsage.services.cloudwatch import retention as metric_retention
from wildsage.services.cloudwatch.alarms import actions as alarm_actions
from wildsage.services.cloudwatch.alarms.watch import Watch
from wildsage.services.cloudwatch.service import CLOUDWATCH
from wildsage.services.iam.defaults import ensure_execution_role
from wildsage.services.iam.directory import Directory
from wildsage.services.iam.service import IAM
from wildsage.services.logs.service import LOGS
from wildsage.services.s3 import expiry, sweep
from wildsage.services.s3.cors import CrossOrigin
from wildsage.services.s3.guards import Guards as S3Guards
from wildsage.services.s3.notifications import delivery as s3_events
from wildsage.services.s3.service import SERVICE as S3
from wildsage.services.s3.upstream.forwarder import Forwarder
from wildsage.services.s3.upstream.service import in_front_of
from wildsage.services.sagemaker.endpoints.controller import EndpointController
from wildsage.services.sagemaker.endpoints.errands import Errands
from wildsage.services.sagemaker.endpoints.instances import Instances
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.services.sagemaker.endpoints.traffic import Traffic
from wildsage.services.sagemaker.instance.attendant import Attendants
from wildsage.services.sagemaker.instance.images import Images, pip_settings
from wildsage.services.sagemaker.processing.controller import ProcessingController
from wildsage.services.sagemaker.service import SAGEMAKER
from wildsage.services.sagemaker.training.controller import TrainingController
from wildsage.services.sagemaker.training.interrupt import interrupt
from wildsage.services.sns import delivery as sns_messages
from wildsage.services.sns.guards import Guards as TopicGuards
from wildsage.services.sns.service import SNS
from wildsage.services.sqs import retention
from wildsage.services.sqs.guards import Guards as QueueGuards
from wildsage.services.sqs.service import SQS
from wildsage.services.sts.service import STS
from wildsage.store.codec import Document
from wildsage.store.database import Database
from wildsage.store.facts import Facts
from wildsage.store.resources import Resources
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

log = logging.getLogger(__name__)

SERVICES: tuple[Service, ...] = (
    CLOUDWATCH,
    IAM,
    LOGS,
    S3,
    SAGEMAKER,
    SNS,
    SQS,
    STS,
)

COMMANDS: Mapping[str, Command] = {"interrupt": interrupt}

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
    routes: RoutePublisher
    engine: Engine
    attendants: Attendants
    errands: Errands
    client: Client
    objects: LocalObjects
    forwarder: Forwarder | None

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """What runs for as long as the process does."""
        return [
            self.engine.run(),
            self.audit.run(),
            self.snapshot.run(),
            sweep.run(self.platform),
            sweep.flush(self.platform),
            expiry.run(self.platform),
            s3_events.courier(self.platform).run(),
            sns_messages.run(self.platform),
            retention.run(self.platform),
            self.platform.meters.run(),
            metric_retention.run(self.platform),
            Watch(self.platform).run(),
            alarm_actions.courier(self.platform).run(),
        ]

    async def close(self) -> None:
        """Keeps what was accepted; containers go on."""
        await self.errands.close()
        await self.attendants.close()
        await self.audit.flush()
        self.client.close()
        if self.forwarder is not None:
            self.forwarder.close()
        self.objects.close()
        await self.platform.database.close()


def runtimes(settings: Settings) -> dict[str, Runtime]:
    """Every runtime of this machine, by name."""
    return {"sandbox": Sandbox(hidden=[settings.data.root])}


def controllers(
    platform: Platform, routes: RoutePublisher, attendants: Attendants, errands: Errands, routers: Routers
) -> Sequence[Controller]:
    """Every controller."""
    runtime = platform.runtimes["sandbox"]
    folder = environments_folder(os.environ, platform.settings.data)
    requirements = Requirements(folder / REQUIREMENTS, platform.settings.data.instances, runtime)
    images = Images(Environments(folder, os.environ), pip_settings(os.environ), requirements)
    hosts = Instances(platform, runtime, images, attendants, routers)
    return (
        TrainingController(platform, runtime, images, attendants),
        ProcessingController(platform, runtime, images, attendants),
        EndpointController(platform, hosts, errands, routes),
    )


async def compose(settings: Settings, reset: Reset | None = None) -> Control:
    """Opens the store and puts the parts together; nothing runs yet."""
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
    services = {service.name: service for service in SERVICES}
    forwarder = None
    if settings.s3_upstream is not None:
        forwarder = Forwarder(settings.s3_upstream, platform.clock, data.run)
        services[S3.name] = in_front_of(S3, forwarder)
    buckets = S3Guards(platform)
    guards = by_service({"s3": buckets, "sns": TopicGuards(platform), "sqs": QueueGuards(platform)})
    door = Door(Parts(platform, directory, services, guards, CrossOrigin(buckets)), audit, reset, COMMANDS)
    calls.door = door
    attendants = Attendants(platform)
    routes = RoutePublisher(platform, snapshot.push)
    routers, errands = Routers(settings.data, client), Errands()
    engine = Engine(platform, controllers(platform, routes, attendants, errands, routers))
    Traffic(platform, routers, routes.endpoints)
    return Control(platform, door, audit, snapshot, routes, engine, attendants, errands, client, objects, forwarder)


class Process:
    """The control process: serves its socket until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._control: Control | None = None
        self._work: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._ends_containers = False

    def stop(self, ends_containers: bool) -> None:
        """Begins the end. Without ``ends_containers`` they go on and the next control process adopts them."""
        self._ends_containers = ends_containers
        self._stopping.set()

    async def run(self) -> None:
        """Serves until ``stop``; raises if one of the parts ends by itself, which is a bug."""
        await self._start()
        server = await start_server(self._handle, path=self._settings.data.control_socket, behind_router=True)
        gc.freeze()
        gc.enable()
        stopping = asyncio.create_task(self._stopped(), name="stop")
        broken: list[asyncio.Task[None]] = []
        while not self._stopping.is_set() and not broken:
            await asyncio.wait([stopping, *self._work], return_when=asyncio.FIRST_COMPLETED)
            async with self._turn:
                broken = [task for task in self._work if task.done()]
        await server.close(_GRACE_SECONDS)
        await self._end()
        for task in broken:
            task.result()

    async def _stopped(self) -> None:
        await self._stopping.wait()

    async def _handle(self, request: Request) -> Response:
        control = self._control
        if control is None:  # a reset is under way
            async with self._turn:
                control = self._control
        if control is None:
            raise RuntimeError("the control process has no parts")
        response = await control.door.handle(request)
        await control.snapshot.settled()
        return response

    async def _start(self) -> None:
        control = await compose(self._settings, self._reset if self._settings.ephemeral else None)
        await control.routes.publish()  # so that routers know who may call, on a first start too
        self._work = [asyncio.create_task(job) for job in control.jobs()]
        self._control = control

    async def _end(self) -> None:
        control, self._control = self._control, None
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if control is not None:
            if self._ends_containers:
                await end_containers(control.platform)
            await control.close()

    async def _reset(self) -> None:
        """Takes away every resource, object, log line and container; keys and the execution role stay."""
        async with self._turn:
            self._ends_containers = True
            await self._end()
            self._ends_containers = False
            await asyncio.to_thread(_empty, self._settings.data)
            await self._start()


async def end_containers(platform: Platform) -> None:
    """Ends every container that a resource's state holds a handle of."""
    found: list[Handle] = []
    for kind in await platform.resources.counts():
        for resource in await platform.resources.all_of(kind):
            found += handles(resource.state)
    ended = [platform.runtimes[handle["runtime"]].remove(handle) for handle in found]
    for outcome in await asyncio.gather(*ended, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.error("a container could not be ended", exc_info=outcome)


def handles(state: Any) -> Iterator[Handle]:
    """Every runtime handle in a resource's state, however deep."""
    if isinstance(state, dict):
        if "runtime" in state and "name" in state:
            yield state
        else:
            for value in state.values():
                yield from handles(value)
    elif isinstance(state, list):
        for value in state:
            yield from handles(value)


def _empty(data: DataDir) -> None:
    for path in (data.database, *data.root.glob(f"{data.database.name}-*")):
        path.unlink(missing_ok=True)
    for folder in (data.objects, data.instances):
        trees.remove(folder)
        folder.mkdir(mode=0o700)


async def serve(settings: Settings, lifeline: int | None) -> None:
    """Runs until SIGTERM or SIGINT, or until whoever holds the other end of ``lifeline`` is gone."""
    process = Process(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stop, True)
    if lifeline is not None:
        # The supervisor was killed: what runs is left for the next one.
        loop.add_reader(lifeline, process.stop, False)
    await process.run()


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
        accounts=further_accounts(os.environ),
        legacy_buckets=legacy_buckets(os.environ),
        file_systems=file_systems(os.environ),
        s3_upstream=s3_upstream(os.environ),
        jobs=job_settings(os.environ),
    )
    uvloop.run(serve(settings, options.lifeline))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Containers of an engine: any image, over the engine's HTTP API."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from wildsage.core import trees
from wildsage.core.clock import Clock, SystemClock
from wildsage.core.errors import CannotStart, ClientFault, InternalFault, RuntimeRefused
from wildsage.runtimes.base import Capability, Handle, Inspection, LaunchSpec, LogLine, NetworkSpec, Phase, Usage
from wildsage.runtimes.containers import networks, plan, reclaiming, state, sweeping, usage
from wildsage.runtimes.containers.api import EngineError, EngineGone
from wildsage.runtimes.containers.attendant import handing, making
from wildsage.runtimes.containers.attendant.order import Order
from wildsage.runtimes.containers.engine import Engine, gone
from wildsage.runtimes.sandbox import keepers, log
from wildsage.runtimes.sandbox.keeper import launcher

PATIENCE = 30.0
"""Seconds that an engine which is gone may take to come back before its containers count as lost."""

_PACKAGE_ROOT = str(Path(__file__).parents[3])
_MAIN = "import sys; sys.path.append(sys.argv[1]); from wildsage.runtimes.containers.attendant.main import main; main()"
_ATTENDANT = (
    os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    *("-I", "-S", "-W", "ignore", "-X", "frozen_modules=on", "-c", _MAIN, _PACKAGE_ROOT),
)


class Containers:
    """See ``runtimes.base.Runtime`` for the verbs; ``docs/design/containers.md`` for what each does with the engine.

    ``metadata``: containers may ask a cloud for what it tells its machines (``core.metadata``).
    """

    name = state.NAME
    capabilities = frozenset(
        {
            Capability.OWN_ROOT,
            Capability.MEMORY_LIMIT,
            Capability.CPU_LIMIT,
            Capability.PROCESS_TREE,
            Capability.NETWORK_ISOLATION,
            Capability.PEERS,
            Capability.ANY_IMAGE,
            Capability.GPU,
        }
    )

    def __init__(
        self,
        engine: Engine,
        clock: Clock | None = None,
        patience: float = PATIENCE,
        machine: plan.Machine | None = None,
        metadata: bool = False,
        aside: Path | None = None,
    ) -> None:
        """``aside``: a folder beside those of the launches, for what only an engine that is gone could give back."""
        self.engine = engine
        self._aside = aside
        self._machine = machine or plan.this_machine()
        self._clock = clock or SystemClock()
        self._patience = patience
        self._closed = not metadata

    async def launch(self, spec: LaunchSpec) -> Handle:
        """Raises RuntimeRefused, ClientFault (no such image; CannotStart), InternalFault (the engine is gone, …)."""
        if not spec.image:
            raise RuntimeRefused(f"The container engine cannot run {spec.name}: it names no image.")
        if spec.network not in ("host", "isolated"):
            raise RuntimeRefused(f"The container engine has no network {spec.network!r}, only host and isolated.")
        if trouble := await self.engine.trouble():
            raise RuntimeRefused(f"The container engine cannot run {spec.name}: {trouble}")
        machine = await self._shares(spec)
        order = await asyncio.to_thread(self._prepare, spec, machine)
        text = await self._begin(order, spec)
        return state.of_report(spec.name, spec.directory, text).handle()

    async def _shares(self, spec: LaunchSpec) -> plan.Machine:
        """What the engine can share out. Raises RuntimeRefused for what Podman cannot do and Docker can."""
        gpus, closed = min(spec.gpus, self._machine.gpus) > 0, spec.serves and spec.network == "isolated"
        if not gpus and not closed and not any(mount.layered for mount in spec.mounts):
            return self._machine
        if (await self.engine.version()).name != "Podman":
            return self._machine
        if gpus:
            raise RuntimeRefused(f"Podman cannot give {spec.name} GPUs as Wildsage asks for them; Docker can.")
        if closed:
            raise RuntimeRefused(
                f"Podman closes the network of {spec.name} to Wildsage, too. Please use Docker, or do without "
                "EnableNetworkIsolation."
            )
        return replace(self._machine, layers=False)  # it drops the options of a nameless volume in silence

    def _prepare(self, spec: LaunchSpec, machine: plan.Machine) -> Order:
        """Makes the container's private folders; returns what its attendant is told."""
        own = [spec.directory / "ml" / name for name in spec.folders or ("",)]
        for folder in (*own, *plan.layers(spec)):
            folder.mkdir(parents=True, exist_ok=True)
        loopback = _loopback(spec)
        handing.share(os.path.realpath(spec.directory), list(plan.writable(spec)))
        network = plan.network_of_launch(spec)
        joins: tuple[str, ...] = ()
        if spec.joins is not None:
            joins = (spec.joins["engine_name"], spec.joins["addresses"][spec.hostname])
        return Order(
            directory=os.path.realpath(spec.directory),
            socket=self.engine.api.socket_path,
            container=plan.container(spec, machine),
            network=network,
            places=tuple((subnet, plan.address(subnet, 0)) for subnet in plan.subnets(spec.directory, 1)),
            joins=joins,
            inside=(loopback, self._closed and (spec.joins is not None or spec.network == "host")),
            patience=self._patience,
        )

    async def _begin(self, order: Order, spec: LaunchSpec) -> str:
        text, errors = await keepers.ordered(_ATTENDANT, order.dump())
        if text.startswith("pid "):
            return text
        await self._clear(spec.directory)
        kind, _, words = text.strip().partition(": ")
        if kind == "start":
            raise CannotStart(words)
        if kind == "image":
            raise ClientFault(f"ClientError: The container engine does not have the image {spec.image}: {words}")
        if kind == "internal" and "device driver" in words and "gpu" in words:
            raise RuntimeRefused(
                f"The container engine cannot give {spec.name} GPUs ({words}). Install nvidia-container-toolkit, then: "
                "nvidia-ctk runtime configure --runtime=docker, and start the engine anew."
            )
        if kind == "gone":
            raise gone(EngineGone(words))
        said = words or keepers.last_words(errors) or "its attendant said nothing"
        raise InternalFault(f"InternalServerError: {spec.name} could not be started: {said}")

    async def connect(self, spec: NetworkSpec) -> Handle:
        """Raises RuntimeRefused (encrypted), InternalFault."""
        if spec.encrypted:
            raise RuntimeRefused(
                "The container engine cannot encrypt the traffic between instances. Please use one instance, do "
                "without EnableInterContainerTrafficEncryption, or use an image that runs natively."
            )
        return await networks.connect(self.engine, spec)

    def reaches_outside(self, network: Handle) -> bool:
        return bool(network["outside"])

    async def inspect(self, handle: Handle) -> Inspection:
        if networks.is_network(handle):
            return await networks.inspect(self.engine, handle)
        container = state.of_handle(handle)
        descriptor = await self._attended(container)
        if descriptor is None:
            return container.ended() or Inspection(Phase.LOST)
        os.close(descriptor)
        return Inspection(Phase.RUNNING)

    async def _attended(self, container: state.Container) -> int | None:
        """A descriptor of the container's attendant, of a new one if it was killed; None if the container has ended."""
        descriptor = container.attendant()
        if descriptor is not None or container.ended() is not None or not container.known():
            return descriptor
        order = await asyncio.to_thread(self._order_again, container.directory)
        await keepers.ordered(_ATTENDANT, order.dump())
        return container.attendant()

    def _order_again(self, directory: Path) -> Order:
        socket = self.engine.api.socket_path
        labels = plan.labels(directory, {"container": plan.name_of(directory)})
        inside = _loopback_of(directory), self._closed
        return Order(os.path.realpath(directory), socket, {"Labels": labels}, None, (), (), inside, self._patience)

    async def wait(self, handle: Handle) -> Inspection:
        if networks.is_network(handle):
            return await networks.wait(self.engine, handle)
        container = state.of_handle(handle)
        while (descriptor := await self._attended(container)) is not None:
            await keepers.end_of(descriptor)
        return container.ended() or Inspection(Phase.LOST)

    async def usage(self, handle: Handle) -> Usage | None:
        return await usage.measure(self.engine, state.of_handle(handle))

    async def logs(self, handle: Handle, offset: int = 0, follow: bool = False) -> AsyncIterator[LogLine]:
        container = state.of_handle(handle)
        path = container.directory / "log"
        if follow:
            lines = log.follow(path, offset, self._clock, self.wait(handle))
        else:
            ended = (await self.inspect(handle)).phase is not Phase.RUNNING
            lines = log.read(path, offset, self._clock, lambda: ended)
        async with aclosing(lines):
            async for line in lines:
                yield line

    async def release(self, handle: Handle, offset: int) -> None:
        await asyncio.to_thread(log.release, state.of_handle(handle).directory, offset)

    async def stop(self, handle: Handle, grace: float) -> None:
        """The container's first process gets the SIGTERM; when it ends, the kernel ends all others at once."""
        container = state.of_handle(handle)
        if grace > 0 and await self._signal(container, "SIGTERM") and await self._ends_within(handle, grace):
            return
        await self._signal(container, "SIGKILL")
        await self.wait(handle)

    async def _signal(self, container: state.Container, name: str) -> bool:
        """Whether there was somebody to send it to. Raises InternalFault if the engine is gone."""
        if container.ended() is not None or not container.known():
            return False
        try:
            await self.engine.call("POST", f"/containers/{container.id}/kill?signal={name}")
        except EngineError as error:
            if error.status in (404, 409, 500):  # it is gone, or has ended at this moment
                return False
            raise InternalFault(f"InternalServerError: {container.name} cannot be stopped: {error.words}") from error
        return True

    async def _ends_within(self, handle: Handle, seconds: float) -> bool:
        return await keepers.comes_within(self.wait(handle), seconds, self._clock)

    async def remove(self, handle: Handle) -> None:
        """What an engine that is gone keeps is swept when Wildsage starts next."""
        if networks.is_network(handle):
            await networks.remove(self.engine, handle)
            return
        container = state.of_handle(handle)
        made = making.Made(container.id, container.network, container.address)
        try:
            await self.stop(handle, 0)
            await asyncio.to_thread(_take_away, self.engine, made, container.directory)
        except (InternalFault, EngineGone):
            if await self.engine.answers():
                raise
        if container.known():
            await self._clear(container.directory)

    async def _clear(self, directory: Path) -> None:
        """Leaves nothing in it that is not the user's, and no private files of the container's."""
        try:
            await asyncio.to_thread(reclaiming.reclaim, self.engine.api, directory, self._aside)
        except EngineGone as error:
            raise gone(error) from error
        except EngineError as error:
            raise InternalFault(f"InternalServerError: Some files still belong to root: {error.words}") from error
        await asyncio.to_thread(_remove_private_files, directory)

    def address_of(self, handle: Handle) -> str:
        return f"tcp:{handle['address']}:{plan.PORT}"

    async def sweep(self, root: Path) -> None:
        """Takes away what is left of containers and networks whose directories, below ``root``, know them no more."""
        await asyncio.to_thread(sweeping.sweep, self.engine.api, root)
        if self._aside is not None:
            await asyncio.to_thread(reclaiming.reclaim_left, self.engine.api, self._aside)


def _loopback(spec: LaunchSpec) -> tuple[int, ...]:
    """The ports that its attendant carries, kept for an attendant to come."""
    ports = spec.loopback if spec.network == "host" else ()
    if spec.joins is not None:
        ports = tuple(spec.joins["loopback"])
    folder = plan.scratch(spec.directory)
    folder.mkdir(exist_ok=True)
    (folder / "loopback").write_text(" ".join(map(str, ports)))
    return ports


def _loopback_of(directory: Path) -> tuple[int, ...]:
    try:
        return tuple(map(int, (plan.scratch(directory) / "loopback").read_text().split()))
    except FileNotFoundError:
        return ()


def _take_away(engine: Engine, made: making.Made, directory: Path) -> None:
    try:
        making.remove(engine.api, made, plan.name_of(directory))
    except EngineError as error:
        raise InternalFault(f"InternalServerError: A container cannot be removed: {error.words}") from error


def _remove_private_files(directory: Path) -> None:
    trees.remove(plan.scratch(directory))
    (directory / launcher.STATE).unlink(missing_ok=True)

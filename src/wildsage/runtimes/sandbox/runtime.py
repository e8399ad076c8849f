"""The native sandbox: containers made of Linux namespaces, without a daemon and without images."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import math
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path

from wildsage.core import trees
from wildsage.core.clock import Clock, SystemClock
from wildsage.core.errors import ClientFault, InternalFault, RuntimeRefused
from wildsage.runtimes.base import Capability, Handle, Inside, Inspection, LaunchSpec, LogLine, NetworkSpec, Usage
from wildsage.runtimes.sandbox import keepers, log, plan, state
from wildsage.runtimes.sandbox.keeper import launcher
from wildsage.runtimes.sandbox.keeper.order import Order
from wildsage.runtimes.sandbox.network import build
from wildsage.runtimes.sandbox.network import order as network
from wildsage.runtimes.sandbox.usage import Processes, measure
from wildsage.runtimes.sandbox.zygote.keep import Zygotes

_LONGEST_SOCKET_PATH = 107  # sockaddr_un
_SOCKET = "http.sock"
_KILL_TAKES_AT_MOST = 10.0  # seconds for the keeper to kill and report, before it is killed itself
_PACKAGE_ROOT = str(Path(__file__).parents[3])
_MAIN = "import sys; sys.path.append(sys.argv[1]); from wildsage.runtimes.sandbox.{} import main; main()"
_BARE = (
    os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    *("-I", "-S", "-X", "frozen_modules=on", "-c"),
)
_KEEPER = (*_BARE, _MAIN.format("keeper.main"), _PACKAGE_ROOT)
_HUB = (*_BARE, _MAIN.format("network.hub"), _PACKAGE_ROOT)
_SEALER = (sys.executable, "-I", "-c", _MAIN.format("network.seal"), _PACKAGE_ROOT)


class Sandbox:
    """See ``runtimes.base.Runtime`` for the verbs; ``docs/design/runtimes.md`` for what a container consists of.

    ``hidden``: host folders that no container may see but for what is mounted (the data directory). ``metadata``:
    containers may ask a cloud for what it tells its machines (``core.metadata``).
    """

    name = "sandbox"
    capabilities = frozenset(
        {
            Capability.OWN_ROOT,
            Capability.MEMORY_LIMIT,
            Capability.CPU_LIMIT,
            Capability.PROCESS_TREE,
            Capability.NETWORK_ISOLATION,
            Capability.PEERS,
            Capability.GPU,
        }
    )

    def __init__(self, hidden: Iterable[Path] = (), clock: Clock | None = None, metadata: bool = False) -> None:
        self._hidden = tuple(hidden)
        self._closed = not metadata
        self._clock = clock or SystemClock()
        self._processes = Processes()
        self._zygotes = Zygotes()

    async def launch(self, spec: LaunchSpec) -> Handle:
        """About 60 ms. Raises RuntimeRefused (an engine image, no namespaces), ClientFault (argv cannot be run)."""
        self._refuse(spec)
        zygote = ""
        if spec.preload:
            zygote = await self._zygotes.socket_of(spec.argv[0], spec.preload, spec.directory.parent)
        order, sockets = await asyncio.to_thread(self._prepare, spec, zygote)
        text = await _begin(_KEEPER, order, spec.name, spec.directory, sockets)
        return state.of_report(spec.name, spec.directory, sockets, text).handle()

    async def connect(self, spec: NetworkSpec) -> Handle:
        """About 60 ms. Raises RuntimeRefused (no namespaces; no /dev/net/tun for one that is encrypted)."""
        directory = await asyncio.to_thread(spec.directory.resolve)
        order = network.Order(
            str(directory),
            spec.hosts,
            spec.outside,
            spec.loopback,
            _SEALER if spec.encrypted else (),
            self._closed,
        )
        sockets = plan.scratch(directory)  # it has none
        text = await _begin(_HUB, order.dump(), spec.name, directory, sockets)
        report = state.lines_of(text)
        return {
            **state.of_report(spec.name, directory, sockets, text).handle(),
            "addresses": {host: build.address(index) for index, host in enumerate(spec.hosts)},
            "namespaces": dict(zip(spec.hosts, map(int, report["host"]), strict=True)),
            "bridge": int(report["bridge"][0]),
            "around": int(report.get("user", ["-1"])[0]),
            "outside": spec.outside,
            "closed": "closed" in report,
        }

    def reaches_outside(self, network: Handle) -> bool:
        return bool(network["outside"]) and not network["closed"]

    def _refuse(self, spec: LaunchSpec) -> None:
        if not sys.platform.startswith("linux"):
            raise RuntimeRefused("The native sandbox needs Linux. Run Wildsage in a Linux virtual machine.")
        if spec.image:
            raise RuntimeRefused(f"The native sandbox cannot run the container image {spec.image}; an engine can.")
        if spec.network not in ("host", "isolated"):
            raise RuntimeRefused(f"The native sandbox has no network {spec.network!r}, only host and isolated.")

    def _prepare(self, spec: LaunchSpec, zygote: str) -> tuple[bytes, Path]:
        """Makes the container's private files; returns the keeper's order and the folder of the sockets."""
        (spec.directory / "ml").mkdir(exist_ok=True)
        plan.write_private_files(spec)
        sockets = _socket_folder(spec.directory)
        sockets.mkdir(mode=0o700, exist_ok=True)
        cpus = spec.cpus if spec.cpus < len(os.sched_getaffinity(0)) else 0.0
        environment = {"HOME": Inside.HOME, "HOSTNAME": spec.hostname, **_threads(cpus), **spec.environment}
        if spec.serves:
            environment["WILDSAGE_BIND"] = f"unix:{Inside.SOCKETS}/{_SOCKET}"
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        order = Order(
            directory=os.path.realpath(spec.directory),
            group=f"wildsage-{_digest(spec.directory)}",
            command=(tuple(spec.argv), environment, spec.working_directory, zygote),
            hostname=spec.hostname,
            network=_network(spec),
            limits=(spec.memory_bytes if spec.memory_bytes < total else 0, float(cpus), spec.processes),
            steps=plan.root_of(spec, sockets, self._hidden),
            closed=self._closed,
        )
        return order.dump(), sockets

    async def inspect(self, handle: Handle) -> Inspection:
        return state.of_handle(handle).inspect()

    async def wait(self, handle: Handle) -> Inspection:
        container = state.of_handle(handle)
        descriptor = container.open()
        if descriptor is not None:
            await keepers.end_of(descriptor)
        return container.inspect()

    async def usage(self, handle: Handle) -> Usage | None:
        return await asyncio.to_thread(measure, state.of_handle(handle), self._processes)

    async def logs(self, handle: Handle, offset: int = 0, follow: bool = False) -> AsyncIterator[LogLine]:
        container = state.of_handle(handle)
        path = container.directory / "log"
        if follow:
            lines = log.follow(path, offset, self._clock, self.wait(handle))
        else:
            lines = log.read(path, offset, self._clock, lambda: not container.alive())
        async with aclosing(lines):
            async for line in lines:
                yield line

    async def release(self, handle: Handle, offset: int) -> None:
        await asyncio.to_thread(log.release, state.of_handle(handle).directory, offset)

    async def stop(self, handle: Handle, grace: float) -> None:
        container = state.of_handle(handle)
        if grace > 0:
            container.signal(signal.SIGTERM)
            if await self._ends_within(handle, grace):
                return
        container.signal(signal.SIGUSR1)
        if not await self._ends_within(handle, _KILL_TAKES_AT_MOST):
            container.signal(signal.SIGKILL)
            await self.wait(handle)

    async def _ends_within(self, handle: Handle, seconds: float) -> bool:
        return await keepers.comes_within(self.wait(handle), seconds, self._clock)

    async def remove(self, handle: Handle) -> None:
        await self.stop(handle, 0)
        container = state.of_handle(handle)
        for group in container.groups:
            await self._remove_group(group)
        await asyncio.to_thread(_remove_private_files, container.directory, container.sockets)

    async def _remove_group(self, group: str) -> None:
        while True:
            try:
                os.rmdir(group)  # noqa: PTH106  a control group, not a folder of files: it never blocks
            except FileNotFoundError:
                return
            except OSError as error:
                # A killed process counts until the kernel has taken it apart, a moment after its keeper's end.
                if error.errno != errno.EBUSY:
                    raise
                await self._clock.sleep(0.01)
            else:
                return

    def address_of(self, handle: Handle) -> str:
        return f"unix:{state.of_handle(handle).sockets / _SOCKET}"


async def _begin(program: Sequence[str], order: bytes, name: str, directory: Path, sockets: Path) -> str:
    """Gives the order to a launcher; its report. Raises what it says in words."""
    text, errors = await keepers.ordered(program, order)
    if text.startswith("pid "):
        return text
    await asyncio.to_thread(_remove_private_files, directory, sockets)
    kind, _, words = text.strip().partition(": ")
    if kind == "refused":
        raise RuntimeRefused(f"The native sandbox cannot run {name}: {words}")
    if kind == "client":
        raise ClientFault(f"AlgorithmError: {words}")
    said = words or keepers.last_words(errors) or "its keeper said nothing"
    raise InternalFault(f"InternalServerError: {name} could not be started: {said}")


def _network(spec: LaunchSpec) -> tuple[int, ...] | None:
    """As ``keeper.order`` has it."""
    if spec.joins is None:
        return () if spec.network == "isolated" else None
    held = spec.joins
    return held["pid"], held["started"], held["namespaces"][spec.hostname], held["around"]


def _threads(cpus: float) -> dict[str, str]:
    """A process cannot see a quota: without a word it would start a thread for each CPU of the machine."""
    count = str(math.ceil(cpus))
    return {"SM_NUM_CPUS": count, "OMP_NUM_THREADS": count} if cpus else {}


def _digest(directory: Path) -> str:
    return hashlib.sha256(os.path.realpath(directory).encode()).hexdigest()[:16]


def _socket_folder(directory: Path) -> Path:
    """In the scratch folder, or, where that makes a path longer than a socket's may be, in the system's /tmp."""
    near = plan.scratch(directory) / "run"
    if len(os.fsencode(near / _SOCKET)) <= _LONGEST_SOCKET_PATH:
        return near
    return Path(tempfile.gettempdir()) / f"wildsage-{os.geteuid()}-{_digest(directory)}"


def _remove_private_files(directory: Path, sockets: Path) -> None:
    for folder in (plan.scratch(directory), sockets):
        trees.remove(folder)
    (directory / launcher.STATE).unlink(missing_ok=True)

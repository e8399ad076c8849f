"""What a runtime is: five verbs over containers and one for networks, idempotent by handle.

A *container* here is one instance's worth of work in AWS's sense: a process tree with its own ``/opt/ml``.  A runtime
keeps no state of its own that control must not lose: everything it needs to find a container again is in the
:class:`Handle`, JSON that is stored with the resource.  ``contract/`` tests bind one suite to every runtime.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

Handle = Mapping[str, Any]


class Inside:
    """Paths inside every container of a native image."""

    ML = "/opt/ml"
    TOOLKIT = "/opt/wildsage/toolkit"  # the caller mounts it there, read-only
    ALGORITHMS = "/opt/wildsage/algorithms"  # and this beside it, where the toolkit looks for it
    SOCKETS = "/run/wildsage"
    HOME = "/root"
    INTERFACE = "eth0"  # the interface of a network that ``connect`` made


class Capability(StrEnum):
    """What a backend may or may not be able to do; see ``Runtime.capabilities``."""

    OWN_ROOT = "own /opt/ml at its real path"
    MEMORY_LIMIT = "memory limit"
    CPU_LIMIT = "CPU limit"
    PROCESS_TREE = "own process tree"
    NETWORK_ISOLATION = "network isolation"
    PEERS = "networks of several containers"
    ANY_IMAGE = "any container image"
    GPU = "GPU"


@dataclass(frozen=True, slots=True)
class Mount:
    """``source`` on the host appears at ``target`` inside.

    ``layered``: a folder whose files must never change, with a private writable layer over it: whatever the container
    writes, cuts off, renames or deletes there happens to it alone, and goes with it. Read-only where the machine has no
    such layers.
    """

    source: Path
    target: str
    read_only: bool = False
    layered: bool = False


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network that only the containers on it share; JSON-able but for paths.

    ``name``, ``directory``: as a container's, and no container's; connecting the same directory again finds the first.
    ``hosts``: the names that its containers find one another by, whose interface is ``Inside.INTERFACE``.
    ``outside``: whether they reach what the machine reaches (TCP, and names); its loopback only at the ports in
    ``loopback``, under the same address, as if they shared the machine's network.
    ``encrypted``: what goes from one host to another can neither be read nor changed on the way.
    ``any_image``: its containers are of an engine's images, so it must be the engine's.
    """

    name: str
    directory: Path
    hosts: tuple[str, ...]
    outside: bool = True
    loopback: tuple[int, ...] = ()
    encrypted: bool = False
    any_image: bool = False


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """Everything a runtime needs to start one container; JSON-able but for paths.

    ``name``: unique among live containers; launching the same name again finds the first.
    ``directory``: host folder made by the caller, one for each name; ``directory/ml`` is mounted writable at
    /opt/ml, the runtime puts its log (``log``), exit status (``exit.json``) and private files
    beside it. Until ``remove`` a launch with the same directory returns the first container, ended or not; after it,
    a launch starts anew and the log goes on.
    ``argv``/``environment``: what is run; for a native image the interpreter is argv[0]. The environment is complete,
    nothing is inherited.
    ``image``: what the engine knows an image by, for runtimes with ANY_IMAGE; else empty. With one, ``argv`` are the
    arguments of its ENTRYPOINT (none: the image's own CMD), in whose place ``entrypoint`` comes if it is not empty (the
    image's CMD is then no argument); ``environment`` goes over the image's ENV; ``working_directory`` empty is the
    image's WORKDIR. Only ``folders`` of ``directory/ml`` are mounted (``model``, ``input``), each at its place below
    /opt/ml, so that what the image itself has there, say in /opt/ml/code, is seen; all of it if there are none. What
    cannot be started at all raises CannotStart.
    ``memory_bytes``/``cpus``: limits, 0 for none. A limit on CPUs is told to the processes in SM_NUM_CPUS and
    OMP_NUM_THREADS, unless ``environment`` sets these. ``processes``: the most processes and threads at a time.
    ``gpus``: how many it would have on AWS; a machine without any has none to give, and it runs on CPUs.
    ``network``: ``host`` reaches what the machine reaches, ``isolated`` has loopback only (an isolated container that
    serves still answers at ``address_of``). ``loopback``: ports of the machine's loopback that the container finds
    under the same address; one that shares the machine's network sees all of them anyway.
    ``joins``: the handle of a network instead, on which the container is the host named ``hostname``.
    ``preload``: modules that argv (an interpreter and a script) will import. A runtime that can forks it from a process
    that has them in memory already, which many containers share; never name a user's, they are imported outside.
    ``script=folder``: of a script its ``preload`` is called, with the folder in which containers have it.
    ``serves``: the container answers HTTP (a model server); ``address_of`` its handle says where, and inside
    WILDSAGE_BIND does, if the runtime chose a socket for it (``unix:/path``); else it answers at port 8080.
    """

    name: str
    directory: Path
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    image: str = ""
    entrypoint: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    working_directory: str = "/"
    hostname: str = "algo-1"
    mounts: tuple[Mount, ...] = ()
    memory_bytes: int = 0
    cpus: float = 0.0
    processes: int = 8192
    gpus: int = 0
    network: str = "host"
    loopback: tuple[int, ...] = ()
    joins: Handle | None = None
    serves: bool = False
    preload: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


class Phase(StrEnum):
    """Where a container is in its life."""

    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"  # no process and no exit status: the machine or its keeper was killed


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a container now.

    ``exit_code``: 0-255, 128+n for signal n; only when EXITED. ``out_of_memory``: it was killed for exceeding its
    limit. Times are epoch seconds. ``reason``: of a LOST one, what became of it, where that is known.
    """

    phase: Phase
    exit_code: int | None = None
    out_of_memory: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses. ``cpu_seconds``: processor time of all its processes since it began.

    ``memory_bytes``: held now; of an ended container the most that one of its processes held. ``disk_bytes``: of its
    files, None if these are too many to count. ``span``: (began, ended) of an ended one, ``began`` of a running one,
    epoch seconds.
    """

    cpu_seconds: float
    memory_bytes: int
    disk_bytes: int | None = None
    span: tuple[float, float] | None = None
    began: float | None = None


class LogLine(NamedTuple):
    """One line a container wrote (stdout and stderr merged), without its line end.

    ``at``: epoch seconds it was seen; ``offset``: position after it, to go on from.
    """

    at: float
    text: str
    offset: int


class Runtime(Protocol):
    """The verbs. All are safe to repeat with the same argument.

    ``inspect``, ``wait`` and ``remove`` take the handle of a network, too: it is RUNNING until it is removed, or LOST.
    """

    name: str
    capabilities: frozenset[Capability]

    async def connect(self, spec: NetworkSpec) -> Handle:
        """Makes a network. ``reaches_outside`` its handle says what came of ``outside``. Raises as ``launch`` does."""
        ...

    def reaches_outside(self, network: Handle) -> bool:
        """Whether containers on it reach what the machine reaches, beside its loopback ports."""
        ...

    async def launch(self, spec: LaunchSpec) -> Handle:
        """Starts the container and returns once its process exists.

        Raises RuntimeRefused, ClientFault (of an image's program CannotStart) or InternalFault.
        """
        ...

    async def inspect(self, handle: Handle) -> Inspection: ...

    async def wait(self, handle: Handle) -> Inspection:
        """Returns when the container is no longer RUNNING (at once, not at the next poll)."""
        ...

    async def usage(self, handle: Handle) -> Usage | None:
        """None where nothing can be told. An ended container's can be asked for until its directory is gone."""
        ...

    def logs(self, handle: Handle, offset: int = 0, follow: bool = False) -> AsyncIterator[LogLine]:
        """Lines from byte ``offset`` on; with ``follow`` it goes on until the container has ended and all was read.

        None of a container that was removed with its folder.
        """
        ...

    async def release(self, handle: Handle, offset: int) -> None:
        """What the container wrote before byte ``offset`` is kept elsewhere: its room on the disk is given back.

        A little before ``offset`` stays for ``logs``. A container waits as long as it has written 256 MiB that nobody
        has released.
        """
        ...

    async def stop(self, handle: Handle, grace: float) -> None:
        """SIGTERM, then SIGKILL after ``grace`` seconds; returns when all processes are gone.

        As with AWS the first process alone gets the SIGTERM, so that a handler can finish work that its child processes
        take part in. When it has ended, whatever is left is killed; but where the SIGTERM itself killed it, as it does
        a shell, whatever is left gets one too, and the grace to finish.
        """
        ...

    async def remove(self, handle: Handle) -> None:
        """Stops at once if need be and takes away every process, mount, cgroup and file except ``directory``."""
        ...

    def address_of(self, handle: Handle) -> str:
        """Where a serving container answers: ``unix:/path`` or ``tcp:host:port``."""
        ...

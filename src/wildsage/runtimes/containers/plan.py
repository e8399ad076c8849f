"""What the engine is told to make for a launch: pure planning over the engine's API documents."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildsage.runtimes.base import Inside, LaunchSpec, Mount, NetworkSpec
from wildsage.runtimes.sandbox.keeper.limits import SHARES

DIRECTORY_LABEL = "wildsage.directory"
PORT = 8080
_POOL = ipaddress.IPv4Network("198.18.0.0/15")  # RFC 2544: set aside for trials, so nobody outside has such an address
_TAKEN = 3  # of a network's addresses: its own, the gateway's, the broadcast
_LOG_BYTES = "64m"  # twice, in the engine: for an attendant that takes the place of one that was killed
_PERIOD = 100_000  # microseconds, of the CPU quota
_SCRATCH = "scratch"

Document = dict[str, Any]


def scratch(directory: Path) -> Path:
    """Where the private layers of a container are while it exists."""
    return directory / _SCRATCH


def name_of(directory: Path) -> str:
    """Of the container, and of its network, that belong to ``directory``: nobody else's on this machine."""
    return f"wildsage-{hashlib.sha256(os.path.realpath(directory).encode()).hexdigest()[:16]}"


def labels(directory: Path, given: Mapping[str, str]) -> dict[str, str]:
    """By which what is made is found again, should its directory be forgotten."""
    return {**{f"wildsage.{key}": value for key, value in given.items()}, DIRECTORY_LABEL: os.path.realpath(directory)}


def subnets(directory: Path, hosts: int) -> Iterator[str]:
    """Networks with room for so many hosts, in an order of the directory's own: the engine takes the first free one.

    The engine's own choice ends after some thirty networks.
    """
    prefix = 32 - math.ceil(math.log2(max(hosts + _TAKEN, 8)))
    count = 1 << (prefix - _POOL.prefixlen)
    first = int.from_bytes(hashlib.sha256(os.path.realpath(directory).encode()).digest()[:4])
    size = 1 << (32 - prefix)
    for number in range(min(count, 256)):
        start = int(_POOL.network_address) + (first + number * 7919) % count * size
        yield f"{ipaddress.IPv4Address(start)}/{prefix}"


def address(subnet: str, index: int) -> str:
    """Of the host with that index, from 0."""
    return str(ipaddress.IPv4Network(subnet).network_address + _TAKEN - 1 + index)


def network(directory: Path, given: Mapping[str, str], outside: bool) -> Document:
    """A network of its own; its subnet is still to be chosen."""
    return {
        "Name": name_of(directory),
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Internal": not outside,
        "Labels": labels(directory, given),
    }


def network_of_launch(spec: LaunchSpec) -> Document | None:
    """The network that the launch needs made; None where it joins one or has loopback only."""
    if spec.joins is not None or (spec.network == "isolated" and not spec.serves):
        return None
    return network(spec.directory, spec.labels, spec.network != "isolated")


def network_of_hosts(spec: NetworkSpec) -> Document:
    """A network that several containers share."""
    return network(spec.directory, {"name": spec.name}, spec.outside)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to share out. ``layers``: whether the engine puts private layers over mounts."""

    memory_bytes: int
    cpus: int
    gpus: int
    layers: bool = True


def this_machine() -> Machine:
    """This one."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(memory, os.cpu_count() or 1, len(list(Path("/dev").glob("nvidia[0-9]*"))))


def container(spec: LaunchSpec, machine: Machine) -> Document:
    """The container, all but its network."""
    memory = spec.memory_bytes if spec.memory_bytes < machine.memory_bytes else 0
    cpus = spec.cpus if spec.cpus < machine.cpus else 0.0
    gpus = min(spec.gpus, machine.gpus)
    host: Document = {
        "Mounts": [*_own(spec), *_mounts(spec, machine.layers)],
        "PidsLimit": spec.processes,
        "CpuShares": SHARES,
        "ShmSize": (memory or machine.memory_bytes) // 2,  # what the kernel gives a machine of that size
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _LOG_BYTES, "max-file": "2"}},
        "RestartPolicy": {"Name": "no"},
    }
    if spec.joins is not None:
        # Their addresses are fixed, so nobody need ask a name server, which not every engine has.
        peers = ((name, ip) for name, ip in spec.joins["addresses"].items() if name != spec.hostname)
        host["ExtraHosts"] = [f"{name}:{ip}" for name, ip in peers]
    if memory:
        host |= {"Memory": memory, "MemorySwap": memory}
    if gpus:
        host["DeviceRequests"] = [{"Driver": "", "Count": gpus, "Capabilities": [["gpu"]]}]
    if cpus:
        host |= {"CpuPeriod": _PERIOD, "CpuQuota": int(cpus * _PERIOD)}
    document: Document = {
        "Image": spec.image,
        "Hostname": spec.hostname,
        "Env": [f"{key}={value}" for key, value in {**_threads(cpus), **spec.environment}.items()],
        "Labels": labels(spec.directory, {**spec.labels, "name": spec.name, "container": name_of(spec.directory)}),
        "HostConfig": host,
    }
    if spec.argv:
        document["Cmd"] = list(spec.argv)
    if spec.entrypoint:
        document["Entrypoint"] = list(spec.entrypoint)
    if spec.working_directory:
        document["WorkingDir"] = spec.working_directory
    return document


def _threads(cpus: float) -> dict[str, str]:
    """A process cannot see a quota: without a word it would start a thread for each CPU of the machine."""
    count = str(math.ceil(cpus))
    return {"SM_NUM_CPUS": count, "OMP_NUM_THREADS": count} if cpus else {}


def _own(spec: LaunchSpec) -> Iterator[Document]:
    """Its /opt/ml, or those folders of it that the image is to see."""
    ml = Path(os.path.realpath(spec.directory / "ml"))
    if not spec.folders:
        yield _bind(str(ml), Inside.ML, False)
    for folder in spec.folders:
        yield _bind(str(ml / folder), f"{Inside.ML}/{folder}", False)


def _mounts(spec: LaunchSpec, layers: bool) -> Iterator[Document]:
    for number, mount in enumerate(sorted(spec.mounts, key=lambda each: each.target.count("/"))):
        layer = layer_of(spec, number)
        if mount.layered and layers and can_be_layered(mount, layer):
            yield _layered(os.path.realpath(mount.source), mount.target, layer)
        else:
            yield _bind(os.path.realpath(mount.source), mount.target, mount.read_only or mount.layered)


def writable(spec: LaunchSpec) -> Iterator[str]:
    """The sources that it may write to."""
    return (os.path.realpath(mount.source) for mount in spec.mounts if not mount.read_only and not mount.layered)


def layer_of(spec: LaunchSpec, number: int) -> Path:
    """The folder with the private layer of a launch's mount, the ``number``th from the top."""
    return Path(os.path.realpath(scratch(spec.directory) / "layers" / str(number)))


def layers(spec: LaunchSpec) -> Iterator[Path]:
    """The folders that must exist before the container does."""
    for number, mount in enumerate(sorted(spec.mounts, key=lambda each: each.target.count("/"))):
        layer = layer_of(spec, number)
        if mount.layered and can_be_layered(mount, layer):
            yield layer / "upper"
            yield layer / "work"


def can_be_layered(mount: Mount, layer: Path) -> bool:
    """Some characters have a meaning in the options of overlayfs."""
    return mount.source.is_dir() and not set(f"{os.path.realpath(mount.source)}{layer}") & set(",:\\")


def _bind(source: str, target: str, read_only: bool) -> Document:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}


def _layered(source: str, target: str, layer: Path) -> Document:
    """A nameless volume of the engine's: it mounts the overlay, and takes it away with the container."""
    options = f"lowerdir={source},upperdir={layer}/upper,workdir={layer}/work"
    driver = {"Name": "local", "Options": {"type": "overlay", "device": "overlay", "o": options}}
    return {"Type": "volume", "Target": target, "VolumeOptions": {"NoCopy": True, "DriverConfig": driver}}

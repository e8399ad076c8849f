"""Limits on memory, CPUs and processes: control groups where this process may make them, else measuring and killing.

Groups are made below the group that this process is in (version 1), or below the nearest one that hands its
controllers on (version 2), so limits set from outside hold as well.
"""

from __future__ import annotations

import os
import resource

PERIOD = 100_000  # microseconds, of the CPU quota
SHARES, _WEIGHT, _NICER = 512, 50, 3
"""Of the processors, where there is not enough for all: half of what one of the server's own processes has. All that
runs in a container has one share, however many processes it is; only where there are no groups each has its own."""


class Limits:
    """What was arranged for one container.

    ``groups``: directories to remove at the end. ``memory_bytes``, ``cpus``, ``processes``: what no group enforces and
    the keeper must see to itself, 0 for nothing. ``unified``: the one of version 2, empty if there is none.
    """

    def __init__(self, memory_bytes: int, cpus: float, processes: int = 0) -> None:
        self.groups: list[str] = []
        self.unified = ""
        self.memory_bytes = memory_bytes
        self.cpus = cpus
        self.processes = processes
        self._shared = False
        self._wanted = memory_bytes, cpus, processes
        self._joins: list[int] = []
        self._parents: list[int] = []
        self._events: int | None = None

    def make(self, group: str) -> None:
        """Makes a group's directory."""
        # There may be one of the same name, left behind when keeper and control were killed together.
        if os.path.isdir(group):
            os.rmdir(group)
        os.mkdir(group)
        self.groups.append(group)
        self._parents.append(os.open(os.path.dirname(group), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def remove(self) -> None:
        """Removes the groups, also where their paths cannot be seen any more; no process may be left in them."""
        for parent, group in zip(self._parents, self.groups, strict=True):
            os.rmdir(os.path.basename(group), dir_fd=parent)

    def add(self, group: str, events: str = "", memory: bool = False, cpu: bool = False, pids: bool = False) -> None:
        """``group`` enforces the limits named; ``events`` is its file that counts kills, empty if none."""
        self._joins.append(os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        if events:
            self._events = os.open(f"{group}/{events}", os.O_RDONLY | os.O_CLOEXEC)
        if memory:
            self.memory_bytes = 0
        if cpu:
            self.cpus, self._shared = 0.0, True
        if pids:
            self.processes = 0

    def apply(self, pid: int) -> None:
        """Puts a process that has not begun yet under the limits."""
        try:
            for descriptor in self._joins:
                os.write(descriptor, b"%d" % pid)
        except PermissionError:
            # Version 2 forbids moving a process out of a part of the tree that is not ours: see to it ourselves.
            (self.memory_bytes, self.cpus, self.processes), self._events = self._wanted, None
            self._shared = False
        if not self._shared:
            os.setpriority(os.PRIO_PROCESS, pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICER))
        if self.cpus:
            os.sched_setaffinity(pid, _some_cpus(self.cpus, pid))
        if self.processes:
            # Counted in the container's own user namespace; root has none, and is not bound by it.
            resource.prlimit(pid, resource.RLIMIT_NPROC, (self.processes, self.processes))

    def killed(self) -> bool:
        """Whether the kernel has killed a process of the container for want of memory."""
        if self._events is None:
            return False
        for line in os.pread(self._events, 4096, 0).splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1]) > 0
        return False

    def exceeded(self) -> bool:
        """Measures the container's memory; to be called from within its process namespace."""
        return bool(self.memory_bytes) and _resident() > self.memory_bytes and _proportional() > self.memory_bytes


def _some_cpus(cpus: float, pid: int) -> list[int]:
    allowed = sorted(os.sched_getaffinity(0))
    count = min(len(allowed), max(1, -int(-cpus // 1)))
    first = int.from_bytes(os.urandom(2), "little") % len(allowed)
    return [allowed[(first + index) % len(allowed)] for index in range(count)]


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def _resident() -> int:
    """Cheap and at least as large as ``_proportional``: pages that processes share count once for each."""
    pages = 0
    for pid in _processes():
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                pages += int(file.read().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def _proportional() -> int:
    kilobytes = 0
    for pid in _processes():
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                for line in file:
                    if line.startswith(b"Pss:"):
                        kilobytes += int(line.split()[1])
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return kilobytes * 1024


def create(name: str, memory_bytes: int, cpus: float, processes: int) -> Limits:
    """Makes the groups that can be made; whatever could not be is left to the keeper (see ``Limits``).

    ``processes``: how many there may be at a time, threads included. 0 of any is no limit.
    """
    limits = Limits(memory_bytes, cpus, processes)
    for controllers, directory in own_groups():
        try:
            if not controllers:
                _version_2(limits, directory, name, memory_bytes, cpus, processes)
            elif "pids" in controllers and processes:
                _version_1_processes(limits, f"{directory}/{name}", processes)
            elif "memory" in controllers and memory_bytes:
                _version_1_memory(limits, f"{directory}/{name}", memory_bytes)
            elif "cpu" in controllers:
                _version_1_cpu(limits, f"{directory}/{name}", cpus)
        except OSError:
            continue  # not ours to use; the keeper measures instead, and probe() tells the person
    return limits


def own_groups(process: str = "self") -> list[tuple[list[str], str]]:
    """This process's groups, or another's, as (controllers, directory); no controllers means version 2."""
    mounted: dict[str, tuple[str, str]] = {}
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            kind, _, options = right.split()[:3]
            if kind in ("cgroup", "cgroup2"):
                root, point = left.split()[3:5]
                for controller in options.split(",") if kind == "cgroup" else [""]:
                    mounted[controller] = (root, point)
    found = []
    with open(f"/proc/{process}/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            names = [name for name in controllers.split(",") if name]
            root, point = mounted.get(names[0] if names else "", ("", ""))
            if point:
                below = path.removeprefix(root) if root != "/" else path
                found.append((names, (point + below).rstrip("/")))
    return found


def _write(path: str, value: int | str) -> None:
    with open(path, "w") as file:
        file.write(str(value))


def _version_1_memory(limits: Limits, group: str, memory_bytes: int) -> None:
    limits.make(group)
    _write(f"{group}/memory.limit_in_bytes", memory_bytes)
    if os.path.exists(f"{group}/memory.memsw.limit_in_bytes"):
        _write(f"{group}/memory.memsw.limit_in_bytes", memory_bytes)
    limits.add(group, events="memory.oom_control", memory=True)


def _version_1_cpu(limits: Limits, group: str, cpus: float) -> None:
    limits.make(group)
    _write(f"{group}/cpu.shares", SHARES)
    if cpus:
        _write(f"{group}/cpu.cfs_period_us", PERIOD)
        _write(f"{group}/cpu.cfs_quota_us", int(cpus * PERIOD))
    limits.add(group, cpu=True)


def _version_1_processes(limits: Limits, group: str, processes: int) -> None:
    limits.make(group)
    _write(f"{group}/pids.max", processes)
    limits.add(group, pids=True)


def _version_2(limits: Limits, own: str, name: str, memory_bytes: int, cpus: float, processes: int) -> None:
    parent = delegating(own)
    if not parent:
        return
    group = f"{parent}/{name}"
    limits.make(group)
    limits.unified = group
    memory, cpu = os.path.exists(f"{group}/memory.max"), os.path.exists(f"{group}/cpu.max")
    if memory and memory_bytes:
        _write(f"{group}/memory.max", memory_bytes)
        if os.path.exists(f"{group}/memory.swap.max"):
            _write(f"{group}/memory.swap.max", 0)
    if cpu:
        _write(f"{group}/cpu.weight", _WEIGHT)
    if cpu and cpus:
        _write(f"{group}/cpu.max", f"{int(cpus * PERIOD)} {PERIOD}")
    pids = os.path.exists(f"{group}/pids.max")
    if pids and processes:
        _write(f"{group}/pids.max", processes)
    limits.add(group, "memory.events" if memory else "", memory, cpu, pids)


def delegating(own: str) -> str:
    """The nearest group from ``own`` upwards that hands the memory controller on and is writable; empty if none.

    A group with processes of its own cannot hand controllers on, so it is mostly not ``own`` itself.
    """
    directory = own
    while os.path.exists(f"{directory}/cgroup.controllers"):
        if os.access(directory, os.W_OK) and os.access(f"{directory}/cgroup.procs", os.W_OK) and _hands_on(directory):
            return directory
        directory = os.path.dirname(directory)
    return ""


def _hands_on(directory: str) -> bool:
    with open(f"{directory}/cgroup.subtree_control") as file:
        handed = file.read().split()
    with open(f"{directory}/cgroup.controllers") as file:
        offered = [name for name in file.read().split() if name in ("memory", "cpu", "pids")]
    if "memory" not in offered and "memory" not in handed:
        return False
    wanted = [name for name in offered if name not in handed]
    try:
        if wanted:
            _write(f"{directory}/cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))
    except OSError:
        return "memory" in handed  # it has processes of its own
    return True

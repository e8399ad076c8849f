"""What is done inside a container's network: the machine's loopback ports get listeners there, connected to from here,
and a cloud's metadata addresses become unreachable.

Sockets belong to the network namespace that they were made in, so a thread enters the container's, makes them and ends.
All of it is done while the engine still prepares the container, before its first process may run; where an engine does
not let that be seen, a moment after.
"""

from __future__ import annotations

import errno
import os
import time
from _thread import allocate_lock, start_new_thread

from wildsage.core.metadata import IPV4, IPV6, NAMES_PORT
from wildsage.runtimes.sandbox.keeper import kernel
from wildsage.runtimes.sandbox.network import forward
from wildsage.runtimes.sandbox.network.netlink import Netlink

GROUPS = "/sys/fs/cgroup"
_WITHIN = (
    *("pids/docker/{}", "docker/{}", "system.slice/docker-{}.scope"),
    *("pids/libpod_parent/libpod-{}", "libpod_parent/libpod-{}", "machine.slice/libpod-{}.scope"),
)
_PAUSE = 0.002
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)


class Entrance:
    """Opens ``ports`` in the network of ``container``, as soon as that exists, and shuts it if it is to be ``closed``.

    To be used once. ``listeners``: descriptors, for somebody to carry what comes.
    """

    def __init__(self, container: str, ports: tuple[int, ...], closed: bool) -> None:
        self._ports = ports
        self._closed = closed
        self._wanted = closed or bool(ports)
        self._entered = False
        self._complaint = ""
        self._groups = [f"{GROUPS}/{each.format(container)}/cgroup.procs" for each in _WITHIN]
        self._here = os.readlink("/proc/self/ns/net")
        self.listeners: list[int] = []
        self._given_up = False
        self._done = allocate_lock()
        self._done.acquire()

    def seek(self) -> None:
        """Begins to look for the container's first process."""
        start_new_thread(self._seek, ())

    def finish(self, pid: int) -> str:
        """The container runs as ``pid`` (0: it does not): returns once ``listeners`` are made, or cannot be.

        Says why the network could not be shut, if it had to be and could not.
        """
        self._given_up = True
        self._done.acquire()
        if not self._entered and pid:
            start_new_thread(self._enter, (pid,))
            self._done.acquire()
        return self._complaint

    def _seek(self) -> None:
        while self._wanted and not self._given_up and not self._entered:
            for pid in filter(self._elsewhere, self._processes()):
                if self._try(pid):
                    break
            else:
                time.sleep(_PAUSE)
        self._done.release()

    def _enter(self, pid: int) -> None:
        if self._wanted:
            self._try(pid)
        self._done.release()

    def _processes(self) -> list[int]:
        for path in self._groups:
            try:
                with open(path) as file:
                    return [int(line) for line in file]
            except OSError:
                continue
        return []

    def _elsewhere(self, pid: int) -> bool:
        """Whether it is in a network namespace of its own already."""
        try:
            return os.readlink(f"/proc/{pid}/ns/net") != self._here
        except OSError:
            return False

    def _try(self, pid: int) -> bool:
        """In a thread that is of no other use: it stays in the container's network."""
        made: list[int] = []
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                kernel.enter(namespace, kernel.CLONE_NEWNET)
            finally:
                os.close(namespace)
            if self._closed:
                self._shut()
            for port in self._ports:
                made.append(forward.open_listener(port))
        except OSError:  # it ended; or its loopback is not up yet
            for descriptor in made:
                os.close(descriptor)
            return False
        for port in self._ports:
            try:
                made.append(forward.open_listener(port, forward.LOOPBACKS[1]))
            except OSError:
                break  # the engine gave the container no IPv6
        self.listeners, self._entered = made, True
        return True

    def _shut(self) -> None:
        """For this thread's network. It may have no IPv6."""
        link = Netlink()
        self._complaint = ""
        for address in (*IPV4, *IPV6):
            try:
                link.shut(address, NAMES_PORT)
            except OSError as error:
                if address in IPV4 or error.errno not in _NO_IPV6:
                    self._complaint = f"its network could not be kept from {address}: {error.strerror}"
        link.close()

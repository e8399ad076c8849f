"""An errand: does inside a container's network what ``inside`` does, for an attendant that is not root.

The listeners that it makes there it hands over to the attendant, which carries what comes; then it ends. It is there
before the container is started, and may enter namespaces, but neither sees the machine's files nor writes anywhere.
"""

from __future__ import annotations

import os
import select
import socket
import sys

from wildsage.runtimes.containers.api import Answer, Api
from wildsage.runtimes.containers.attendant.errands import Errand, bind, failed
from wildsage.runtimes.containers.attendant.inside import GROUPS, Entrance
from wildsage.runtimes.containers.attendant.making import PORTS
from wildsage.runtimes.containers.attendant.order import Order

_MEET = "/attendant"  # where the errand finds the attendant's socket
_PLACE = "scratch/ports"
_CLOSED = "closed"
_LONGEST = 4096  # bytes of a complaint
_MOST = 250  # descriptors that the kernel carries in one message


class AskedEntrance:
    """As ``Entrance``, by an errand. ``seek`` and ``finish`` raise EngineGone and EngineError."""

    def __init__(self, api: Api, order: Order, container: str) -> None:
        arguments = (container, _CLOSED if order.closed else "", *map(str, order.loopback))
        self._errand = Errand(api, order.name, order.directory, PORTS, "entering", arguments)
        self._directory = order.directory
        self._output: Answer | None = None
        self._errands: socket.socket | None = None
        self.listeners: list[int] = []

    def seek(self) -> None:
        """Returns when the errand looks for the container's first process."""
        place = f"{self._directory}/{_PLACE}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.lexists(place):
            os.unlink(place)
        folder = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(f"/proc/self/fd/{folder}/{os.path.basename(place)}")  # whose length has a limit
            os.close(folder)
            listener.listen(1)
            host = {
                "CapAdd": ["SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "DAC_OVERRIDE"],
                "CgroupnsMode": "host",
                "NetworkMode": "host",
                "PidMode": "host",
                "SecurityOpt": ["apparmor=unconfined", "seccomp=unconfined", "label=disable"],
            }
            self._output = self._errand.start([bind(GROUPS, GROUPS), bind(place, _MEET)], host)
            ready, _, _ = select.select([listener.fileno(), self._output.fileno()], [], [])
            if listener.fileno() not in ready:
                raise failed(self._errand.said(self._output))
            self._errands, _ = listener.accept()
        os.unlink(place)

    def finish(self, pid: int) -> str:
        """As Entrance's."""
        if self._errands is None or self._output is None:
            return ""
        complaint = b""
        with self._errands as errands:
            try:
                errands.sendall(b"%d" % pid)
                complaint, self.listeners, _, _ = socket.recv_fds(errands, _LONGEST, _MOST)
            except ConnectionError:
                pass  # it was killed
        if not complaint:
            raise failed(self._errand.said(self._output))
        self._output.close()
        return complaint.decode().strip()


def main() -> None:
    """Entry of the errand: the container's id, whether its network is to be closed, the ports."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attendant:
        entrance = Entrance(sys.argv[2], tuple(map(int, sys.argv[4:])), sys.argv[3] == _CLOSED)
        entrance.seek()
        attendant.connect(_MEET)
        said = attendant.recv(32)
        if said:  # else the attendant is gone
            complaint = entrance.finish(int(said))
            socket.send_fds(attendant, [complaint.encode() or b"\n"], entrance.listeners)
    os._exit(0)  # a thread may still look

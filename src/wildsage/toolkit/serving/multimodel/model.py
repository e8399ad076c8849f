"""One model in a process of its own, forked from one that has the framework in memory already."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import children
from ..http import Connection
from ..loops import Loop
from . import learning

# Load(url): loads the model in a folder; what it returns makes the loop that serves it, of a listener and a parent.
# Raises whatever keeps it from being loaded.
Load = Callable[[str], Callable[[socket.socket, int], Loop]]


class Front(NamedTuple):
    """What models are forked from. ``folder``: of sockets; ``workers``: processes for each model.

    ``let_go`` closes in a model's process what is the front's own; the end of ``lifeline`` says that the front is gone.
    """

    folder: str
    load: Load
    workers: int
    let_go: Callable[[], None]
    lifeline: int


_MOST_WORDS = 4096
_TOUCHED = 4 << 20  # what a process copies of the front's memory by using it, about
_ROLLUP = ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")


class Model:
    """A model that is being loaded, loaded, or being unloaded.

    ``report``: where its process tells (one line of JSON) that it is loaded, or why not. ``waiting``: who wants to hear
    that; ``unloading``: who wants to hear that it is gone. ``private``: bytes that only its process has.
    """

    def __init__(self, name: str, url: str, address: str, pid: int, report: int) -> None:
        self.name = name
        self.url = url
        self.address = address
        self.pid = pid
        self.report = report
        self.told = b""
        self.loaded = False
        self.private = 0
        self.waiting: list[Connection] = []
        self.unloading: list[Connection] = []

    def shown(self) -> dict[str, str]:
        """As the contract shows it, and the file name of the socket at which the model itself answers."""
        return {"modelName": self.name, "modelUrl": self.url, "wildsageSocket": os.path.basename(self.address)}


def socket_of(folder: str, name: str) -> str:
    """A path short enough for a socket, whatever the model's name."""
    return os.path.join(folder, f"m-{hashlib.sha256(name.encode()).hexdigest()[:16]}.sock")


def start(front: Front, name: str, url: str) -> Model:
    """Forks the process that loads the model, and those that it shares its work with."""
    address = socket_of(front.folder, name)
    report, tell = os.pipe()
    pid = children.fork()
    if pid == 0:
        os._exit(_live(front, address, url, report, tell))
    os.close(tell)
    os.set_blocking(report, False)
    return Model(name, url, address, pid, report)


def _live(front: Front, address: str, url: str, report: int, tell: int) -> int:
    """The whole life of a model's processes."""
    try:
        front.let_go()
        os.close(report)
        _tell_apart()
        known, began = len(sys.modules), anonymous_bytes()
        looping = front.load(url)
        held = max(anonymous_bytes() - began, 0) + front.workers * _TOUCHED
        listener, first = _listen(address), os.getpid()
        above = _share(front.workers - 1, front.lifeline)
        loop = looping(listener, above)
        if os.getpid() == first:
            _say(tell, {"private": held, "modules": learning.learned(known)})
        else:
            _tell_apart()
            os.close(tell)
        loop.run()
        if os.getpid() == first:
            os.unlink(address)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        _say(tell, {"error": traceback.format_exc()[-_MOST_WORDS:]})
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _share(others: int, above: int) -> int:
    """Forks so many more, which have the model too and end with this process.

    Returns the descriptor at whose end the process that returns has to end: ``above``, or in the others one of ours.
    """
    ours, held = os.pipe()
    for _ in range(others):
        if os.fork() == 0:
            os.close(held)
            return ours
    os.close(ours)
    return above


def _tell_apart() -> None:
    """Forks of one process must not draw the same random numbers; and nothing of the front's is worth collecting."""
    gc.freeze()
    for name, seed in (("random", "seed"), ("numpy.random", "seed")):
        module = sys.modules.get(name)
        if module is not None:
            getattr(module, seed)()


def _listen(address: str) -> socket.socket:
    if os.path.exists(address):
        os.unlink(address)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def _say(descriptor: int, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode() + b"\n"
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.close(descriptor)
    except OSError:  # it was said before, or the front is gone
        return


def anonymous_bytes() -> int:
    """What this process has that is not of files, shared with the front or not; cheaper than ``private_bytes``."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def private_bytes(pid: int) -> int:
    """What would be free if that process ended; 0 if that cannot be told."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_ROLLUP))
    except OSError:
        return 0

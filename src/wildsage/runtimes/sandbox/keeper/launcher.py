"""What every launcher does: it is asked for something, makes a process that stays with it, and says which.

The order (marshal) comes on standard input, the answer goes to standard output. What was made is described in the file
``STATE`` of its directory, by lines ``key value``; whoever holds the directory's lock may make it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from _collections_abc import Callable  # collections would be imported for nothing else

from wildsage.runtimes.sandbox.keeper import identity

STATE = "keeper"
EXIT = "exit.json"


def asked() -> bytes:
    """The order."""
    # uvloop hands a child more than its three streams; kept open in the container, control would wait for their end.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}"):
            os.close(int(name))
    return sys.stdin.buffer.read()


def answer(text: str) -> None:
    """Lines as in the state file, or one line ``kind: words`` of what went wrong."""
    sys.stdout.write(text)
    sys.stdout.flush()


def lock(directory: str | os.PathLike[str]) -> int:
    """Held for as long as the descriptor is open, here or in a child."""
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def made(directory: str) -> str:
    """What the state file says; empty if nothing was made there yet."""
    try:
        with open(f"{directory}/{STATE}") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def fork(lock: int, stays: Callable[[int, int], object]) -> tuple[int, int, int]:
    """A process that does ``stays`` and ends. Its number; where it reports; where it is told, by a byte, to begin.

    ``stays`` is given its own ends of both.
    """
    outcome, tell = os.pipe()
    gate, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        for descriptor in (lock, outcome, go):
            os.close(descriptor)
        stays(tell, gate)
        os._exit(0)
    os.close(tell)
    os.close(gate)
    return pid, outcome, go


def record(directory: str, pid: int, about: str) -> str:
    """Writes the state file: ``pid`` stays with what was made, ``about`` are further lines. Returns what it says."""
    state = f"pid {pid}\nstarted {identity.start_time(pid)}\nboot {identity.boot_id()}\n{about}"
    with open(f"{directory}/{STATE}.new", "w") as file:
        file.write(state)
    os.rename(f"{directory}/{STATE}.new", f"{directory}/{STATE}")
    return state


def detach(log: int) -> None:
    """Lets go of what control gave; what a bug has to say goes to ``log``."""
    null = os.open("/dev/null", os.O_RDWR)
    for number, descriptor in ((0, null), (1, null), (2, log)):
        os.dup2(descriptor, number)
    os.close(null)

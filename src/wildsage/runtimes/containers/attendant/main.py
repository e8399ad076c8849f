"""Launches one container of an engine and stays with it to its end.

Control starts this program and talks to it as to ``keeper.main``: an order (marshal) on standard input, ``key value``
lines as in the state file or one line ``refused|client|start|internal: words`` on standard output. In between:

    launcher  takes the directory's lock; a state file there means the container exists already
      └─ attendant  attaches to the container, starts it, writes what it says to ``log`` and how it ended to
                    ``exit.json``, carries the machine's loopback ports, and removes it from the engine

The launcher writes the state file before it lets the container begin. An attendant that was killed is replaced: the
container goes on meanwhile, the engine keeps what it says, and the next attendant goes on from there.
"""

from __future__ import annotations

import os

from wildsage.runtimes.containers.api import Api, EngineError, EngineGone
from wildsage.runtimes.containers.attendant import making
from wildsage.runtimes.containers.attendant.order import Order, load
from wildsage.runtimes.containers.attendant.staying import Attendant
from wildsage.runtimes.sandbox.keeper import identity, launcher
from wildsage.runtimes.sandbox.keeper.launcher import EXIT, STATE


def main() -> None:
    """Entry: see the module's text."""
    order = load(launcher.asked())
    lock = launcher.lock(order.directory)
    state = launcher.made(order.directory)
    try:
        answer = _again(order, state, lock) if state else _launch(order, lock)
    except EngineGone as error:
        answer = f"gone: {error}\n"
    except EngineError as error:
        answer = f"{_kind(error)}: {_line(error.words)}\n"
    launcher.answer(answer)


def _line(words: str) -> str:
    return " ".join(words.split())


def _kind(error: EngineError) -> str:
    if "no command " in error.words.lower():  # neither by the image nor by the launch: "No command specified"
        return "start"
    return "image" if error.status == 404 and "image" in error.words.lower() else "internal"


def _launch(order: Order, lock: int) -> str:
    if os.path.exists(f"{order.directory}/{EXIT}"):
        os.unlink(f"{order.directory}/{EXIT}")
    api = Api(order.socket)
    made = making.make(api, order)
    base = os.path.getsize(f"{order.directory}/log") if os.path.exists(f"{order.directory}/log") else 0
    attendant = Attendant(order, made, base, adopted=False)
    pid, outcome, go = launcher.fork(lock, lambda tell, gate: _stay(attendant, tell, gate))
    about = f"container {made.container}\nnetwork {made.network or '-'}\naddress {made.address or '-'}\nbase {base}\n"
    state = launcher.record(order.directory, pid, about)
    os.write(go, b"1")
    with open(outcome) as pipe:
        complaint = pipe.read()
    if complaint:
        os.waitpid(pid, 0)
        making.try_to_remove(api, made, order.name)
        os.unlink(f"{order.directory}/{STATE}")
        return complaint
    return state


def _again(order: Order, state: str, lock: int) -> str:
    """The container exists. If nobody is with it any more, and it has not ended, somebody is from now on."""
    found = dict(line.split(" ", 1) for line in state.splitlines())
    if identity.runs(int(found["pid"]), int(found["started"]), found["boot"]):
        return state
    if os.path.exists(f"{order.directory}/{EXIT}"):
        return state
    made = making.Made(*("" if found[key] == "-" else found[key] for key in ("container", "network", "address")))
    about = state[state.index("container ") :]
    attendant = Attendant(order, made, int(found["base"]), adopted=True)
    if identity.boot_id() != found["boot"]:
        attendant.lost("the machine was started anew while the container ran")
        making.try_to_remove(Api(order.socket), made, order.name)
        return state
    pid, outcome, go = launcher.fork(lock, lambda tell, gate: _stay(attendant, tell, gate))
    state = launcher.record(order.directory, pid, about)
    os.write(go, b"1")
    with open(outcome) as pipe:
        pipe.read()
    return state


def _stay(attendant: Attendant, tell: int, gate: int) -> None:
    """In the attendant. Says on ``tell`` what went wrong at the start; begins only when ``gate`` has a byte."""
    os.setsid()
    if os.read(gate, 1) == b"1":
        os.close(gate)
        attendant.run(tell)

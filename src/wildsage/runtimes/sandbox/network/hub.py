"""Makes one network and holds it to its end.

Control starts this program and talks to it as to ``keeper.main``: an order (marshal) on standard input, ``key value``
lines or one line ``refused|internal: words`` on standard output. In between:

    launcher  takes the directory's lock; a state file there means the network exists already
      └─ hub      has every namespace and socket of it as a descriptor; carries what leaves the network
           ├─ builder  makes them, and ends
           └─ sealers  one for each host of an encrypted network

The launcher writes the state file before it lets the hub go on, so none can run unrecorded. Containers find their
namespace at /proc/HUB/fd/NUMBER. The hub ends when it is told to or when its directory is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from _thread import start_new_thread

from wildsage.runtimes.sandbox.keeper import launcher
from wildsage.runtimes.sandbox.network import build, forward
from wildsage.runtimes.sandbox.network.order import Order, load

_LOOK_AFTER = 2.0  # seconds, between looks at whether the network still has an owner
_KEY_BYTES = 32


def main() -> None:
    """Entry: see the module's text."""
    order = load(launcher.asked())
    lock = launcher.lock(order.directory)
    launcher.answer(launcher.made(order.directory) or _launch(order, lock))


def _launch(order: Order, lock: int) -> str:
    pid, outcome, go = launcher.fork(lock, lambda tell, gate: _hold(order, tell, gate))
    with open(outcome) as pipe:
        report = pipe.read()
    if not report.startswith("host "):
        os.waitpid(pid, 0)
        return report or "internal: the process that holds the network ended at once\n"
    state = launcher.record(order.directory, pid, report)
    os.write(go, b"1")
    return state


def _hold(order: Order, tell: int, gate: int) -> None:
    """In the hub. Reports the network on ``tell``, and goes on only when ``gate`` has a byte."""
    os.setsid()
    directory = os.open(order.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bridge, hosts, user = _build(order)
    except OSError as error:
        os.write(tell, f"refused: no network for several instances can be made ({error})\n".encode())
        return
    report = "".join(f"host {each.namespace}\n" for each in hosts) + f"bridge {bridge.namespace}\n"
    if user.listeners:
        report += f"user {user.namespace}\n"
    if order.outside and not all(each.redirected for each in hosts):
        report += "closed 1\n"
    os.write(tell, report.encode())
    os.close(tell)
    if os.read(gate, 1) != b"1":
        return
    os.close(gate)
    log = os.open(f"{order.directory}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    launcher.detach(log)
    os.close(log)
    lifeline = _seal(order, hosts)
    for each in hosts:
        _carry(each, forward.outside if order.closed else forward.original)
    while os.fstat(directory).st_nlink:
        time.sleep(_LOOK_AFTER)
    os.close(lifeline)


def _build(order: Order) -> tuple[build.Ports, list[build.Ports], build.Ports]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    builder = os.fork()
    if builder == 0:
        here.close()
        build.build(order, there)
        os._exit(0)
    there.close()
    try:
        bridge = build.receive(here)
        hosts = [build.receive(here) for _ in order.hosts]
        user = build.receive(here)
    finally:
        os.waitpid(builder, 0)
        here.close()
    return bridge, hosts, user


def _seal(order: Order, hosts: list[build.Ports]) -> int:
    """Starts the sealers; they end when the descriptor that this returns is closed."""
    end, lifeline = os.pipe()
    os.set_inheritable(end, True)
    key = os.urandom(_KEY_BYTES)
    for index, host in enumerate(hosts):
        if not host.sealing:
            continue
        reader, writer = os.pipe()
        os.write(writer, key)
        os.close(writer)
        outside, tun = host.sealing
        for descriptor in (reader, outside, tun):
            os.set_inheritable(descriptor, True)
        numbers = map(str, (reader, tun, outside, end, index))
        # A session of its own would outlive a terminal; the hub's will do.
        os.posix_spawn(order.python[0], [*order.python, *numbers], {})
        for descriptor in (reader, outside, tun):
            os.close(descriptor)
    os.close(end)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return lifeline


def _carry(host: build.Ports, target: forward.Target) -> None:
    for descriptor in host.listeners:
        start_new_thread(forward.listen, (descriptor, forward.same))
    for descriptor in host.redirected:
        start_new_thread(forward.listen, (descriptor, target))
    if host.names:
        connections, datagrams = host.names
        start_new_thread(forward.listen, (connections, forward.nameserver))
        start_new_thread(forward.answer_names, (datagrams,))

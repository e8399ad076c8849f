"""What a runtime with Capability.PEERS must do: networks that several containers share. Bound as ``suite.Suite`` is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract.runtimes.seen import existing, text_of, until

from wildsage.runtimes.base import Handle, LaunchSpec, NetworkSpec, Phase, Runtime

HOSTS = ("algo-1", "algo-2", "algo-3")
SECRET = "a sentence that nobody on the way may read"

LISTEN = """
import socket, sys
listener = socket.create_server((socket.gethostname(), 9000))
print("ready", flush=True)
for _ in range(int(sys.argv[1])):
    peer, address = listener.accept()
    print(address[0], peer.makefile().read(), flush=True)
"""
SEND = f"""
import socket, time
end = time.monotonic() + 60
while True:
    try:
        peer = socket.create_connection(("algo-1", 9000), 5)
        break
    except OSError:
        assert time.monotonic() < end
        time.sleep(0.02)
peer.sendall(socket.gethostname().encode() + b" {SECRET}")
"""

Connect = Callable[..., Awaitable[Handle]]
Join = Callable[..., Awaitable[Handle]]


@contextlib.contextmanager
def greeter() -> Iterator[int]:
    """A server on the machine's loopback that says hello; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        peer.sendall(b"hello")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class NetworkSuite:
    """Bind ``runtime`` and ``plain`` in a subclass."""

    @pytest.fixture
    async def connect(self, runtime: Runtime, tmp_path: Path) -> AsyncIterator[Connect]:
        """Makes a network of HOSTS, other fields as given; removed at the end."""
        handles: list[Handle] = []

        async def connect(**fields: Any) -> Handle:
            directory = tmp_path / "network"
            directory.mkdir(exist_ok=True)
            spec = replace(NetworkSpec("network-1", directory, HOSTS), **fields)
            spec.directory.mkdir(exist_ok=True)
            handles.append(await runtime.connect(spec))
            return handles[-1]

        yield connect
        for handle in handles:
            await runtime.remove(handle)

    @pytest.fixture
    async def join(self, runtime: Runtime, plain: LaunchSpec, tmp_path: Path) -> AsyncIterator[Join]:
        """Launches ``python -c code`` as a host of a network; removed at the end, before the network is."""
        handles: list[Handle] = []

        async def join(network: Handle, host: str, code: str, *arguments: str) -> Handle:
            directory = tmp_path / f"{network['name']}-{host}"
            directory.mkdir(exist_ok=True)
            argv = (*plain.argv, "-u", "-c", code, *arguments)
            spec = replace(plain, name=directory.name, directory=directory, argv=argv, hostname=host, joins=network)
            handles.append(await runtime.launch(spec))
            return handles[-1]

        yield join
        for handle in handles:
            await runtime.remove(handle)

    async def test_hosts_resolve_and_reach_each_other(self, runtime: Runtime, connect: Connect, join: Join) -> None:
        network = await connect()
        listening = await join(network, "algo-1", LISTEN, "2")
        for host in HOSTS[1:]:
            await join(network, host, SEND)
        lines = (await text_of(runtime, listening)).splitlines()
        assert sorted(line.split(maxsplit=1)[1] for line in lines[1:]) == [f"{host} {SECRET}" for host in HOSTS[1:]]
        assert len({line.split()[0] for line in lines[1:]}) == 2

    async def test_a_host_has_the_interface_and_its_own_address(
        self, runtime: Runtime, connect: Connect, join: Join
    ) -> None:
        code = (
            "import socket\n"
            "print([name for _, name in socket.if_nameindex()], socket.gethostbyname(socket.gethostname()))\n"
            "listener = socket.create_server(('0.0.0.0', 9000))\n"
            "print('mine')"
        )
        network = await connect()
        texts = [await text_of(runtime, await join(network, host, code)) for host in HOSTS]
        assert all(text.endswith("mine") and "['lo', 'eth0'" in text for text in texts)
        assert len({text.split("]")[1] for text in texts}) == len(HOSTS)

    async def test_it_is_found_again(self, runtime: Runtime, connect: Connect) -> None:
        first, second = await asyncio.gather(connect(), connect())
        assert first == second == json.loads(json.dumps(first))
        assert (await runtime.inspect(first)).phase is Phase.RUNNING

    async def test_removed_it_is_gone_and_may_be_made_again(
        self, runtime: Runtime, connect: Connect, tmp_path: Path
    ) -> None:
        network = await connect()
        await runtime.remove(network)
        assert (await runtime.wait(network)).phase is Phase.LOST
        assert existing([str(tmp_path / "network" / "keeper")]) == []
        assert await connect() != network

    async def test_the_machine_is_reached_as_if_it_were_shared(
        self, runtime: Runtime, connect: Connect, join: Join
    ) -> None:
        code = (
            "import socket, sys\n"
            "for port in sys.argv[1:]:\n"
            "    try: print(socket.create_connection(('127.0.0.1', int(port)), 10).makefile().read())\n"
            "    except ConnectionRefusedError: print('refused')\n"
        )
        with greeter() as known, greeter() as other:
            network = await connect(loopback=(known,))
            assert await text_of(runtime, await join(network, "algo-2", code, str(known), str(other))) == (
                "hello\nrefused"
            )

    async def test_the_outside_is_reached_or_said_to_be_out_of_reach(
        self, runtime: Runtime, connect: Connect, join: Join
    ) -> None:
        """The outside: an address of the machine that is not its loopback."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.77", 9))
            except OSError:
                pytest.skip("this machine has no address but loopback")
            address = probe.getsockname()[0]
        with socket.create_server((address, 0)) as listener:
            port = listener.getsockname()[1]
            code = f"import socket; print(socket.create_connection(({address!r}, {port}), 10).recv(1))"
            network = await connect()
            if not runtime.reaches_outside(network):
                return
            handle = await join(network, "algo-1", code)
            peer, _ = await asyncio.to_thread(listener.accept)
            peer.sendall(b"!")
            peer.close()
            assert await text_of(runtime, handle) == "b'!'"

    async def test_the_machines_role_is_not_outside(self, runtime: Runtime, connect: Connect, join: Join) -> None:
        """What connects may be open for a moment, but nobody answers; see ``Metadata``."""
        code = (
            "import socket\ntry: print(socket.create_connection(('169.254.169.254', 80), 5).recv(1) or 'shut')\n"
            "except TimeoutError: print('waits')\nexcept OSError: print('shut')"
        )
        network = await connect()
        if runtime.reaches_outside(network):
            assert await text_of(runtime, await join(network, "algo-1", code)) == "shut"

    async def test_without_outside_there_are_only_the_peers(
        self, runtime: Runtime, connect: Connect, join: Join
    ) -> None:
        code = SEND + (
            "for target in sys.argv[1:]:\n"
            "    address, _, port = target.rpartition(':')\n"
            "    try: socket.create_connection((address, int(port)), 2); print('reached', target)\n"
            "    except OSError as error: pass\n"
            "print('alone')\n"
        )
        with greeter() as port:
            network = await connect(outside=False, loopback=(port,))
            assert not runtime.reaches_outside(network)
            listening = await join(network, "algo-1", LISTEN, "1")
            targets = (f"127.0.0.1:{port}", "192.0.2.77:80", "198.51.100.7:53")
            sending = await join(network, "algo-2", "import sys\n" + code, *targets)
            assert await text_of(runtime, sending) == "alone"
            assert SECRET in await text_of(runtime, listening)

    async def test_two_networks_know_nothing_of_each_other(
        self, runtime: Runtime, connect: Connect, join: Join, tmp_path: Path
    ) -> None:
        first = await connect()
        second = await connect(name="network-2", directory=tmp_path / "second")
        listening = await join(first, "algo-1", LISTEN, "1")
        await until(lambda: (tmp_path / "network-1-algo-1" / "log").stat().st_size > 0)
        code = (
            "import socket\n"
            "try: socket.create_connection(('algo-1', 9000), 2); print('reached')\n"
            "except OSError: print('alone')"
        )
        assert await text_of(runtime, await join(second, "algo-2", code)) == "alone"
        await join(first, "algo-3", SEND)
        assert SECRET in await text_of(runtime, listening)

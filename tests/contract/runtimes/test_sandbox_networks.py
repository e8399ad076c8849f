"""Networks of the native sandbox: the suite, and what only it can show."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from tests.contract.runtimes.networks import LISTEN, SECRET, SEND, Connect, Join, NetworkSuite
from tests.contract.runtimes.seen import of_this_machine, text_of

from wildsage.core.errors import RuntimeRefused
from wildsage.runtimes.base import Handle, LaunchSpec, Phase, Runtime
from wildsage.runtimes.sandbox.runtime import Sandbox

# Sees every packet on the bridge of the network that process argv[1] holds, until it reads a line; then says whether
# argv[3] was in one of them, and how many bytes there were.
_CAPTURE = """
import ctypes, os, select, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
numbers = [number for number in sys.argv[2].split(",") if int(number) >= 0]
for namespace in [os.open(f"/proc/{sys.argv[1]}/fd/{number}", os.O_RDONLY) for number in numbers]:
    assert libc.setns(namespace, 0) == 0, os.strerror(ctypes.get_errno())
capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
print("ready", flush=True)
seen, size = False, 0
while True:
    ready, _, _ = select.select([capture, sys.stdin], [], [], 1)
    if capture in ready:
        packet = capture.recv(1 << 17)
        seen, size = seen or sys.argv[3].encode() in packet, size + len(packet)
    elif ready:
        break
print(seen, size)
"""


class TestSandboxNetworks(NetworkSuite):
    @pytest.fixture
    def plain(self) -> LaunchSpec:
        return of_this_machine()

    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Sandbox:
        return Sandbox(hidden=[tmp_path])

    async def _captured(self, runtime: Runtime, network: Handle, join: Join) -> tuple[bool, int]:
        """Whether the sentence that one host sends another is seen on the way, and the number of bytes seen."""
        pipe = asyncio.subprocess.PIPE
        numbers = f"{network['around']},{network['bridge']}"
        capture = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CAPTURE, str(network["pid"]), numbers, SECRET), stdin=pipe, stdout=pipe
        )
        assert capture.stdout is not None
        assert await capture.stdout.readline() == b"ready\n"
        listening = await join(network, "algo-1", LISTEN, "1")
        await join(network, "algo-2", SEND)
        assert SECRET in await text_of(runtime, listening)
        out, _ = await capture.communicate(b"\n")
        seen, size = out.split()
        return seen == b"True", int(size)

    async def test_nothing_of_it_is_in_the_machines_own_network(self, connect: Connect) -> None:
        def interfaces() -> list[str]:
            """But for those of an engine, which other tests use meanwhile."""
            return [name for _, name in socket.if_nameindex() if not name.startswith(("br-", "docker", "veth"))]

        before = interfaces()
        await connect()
        assert interfaces() == before

    async def test_a_network_nobody_can_find_again_ends(
        self, runtime: Runtime, connect: Connect, tmp_path: Path
    ) -> None:
        network = await connect()
        moved = tmp_path / "network"
        for entry in moved.iterdir():
            entry.unlink()
        moved.rmdir()
        await asyncio.wait_for(runtime.wait(network), 60)

    async def test_packets_can_be_read_unless_they_are_encrypted(
        self, runtime: Runtime, connect: Connect, join: Join
    ) -> None:
        seen, _ = await self._captured(runtime, await connect(), join)
        assert seen

    async def test_no_packet_of_an_encrypted_network_can_be_read(
        self, runtime: Runtime, connect: Connect, join: Join
    ) -> None:
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            with pytest.raises(RuntimeRefused, match="/dev/net/tun"):
                await connect(encrypted=True)
            return
        seen, size = await self._captured(runtime, await connect(encrypted=True), join)
        assert not seen
        assert size > len(SECRET)

    async def test_the_end_of_its_process_is_the_end_of_it(self, runtime: Runtime, connect: Connect) -> None:
        network = await connect()
        os.kill(network["pid"], signal.SIGKILL)
        assert (await runtime.wait(network)).phase is Phase.LOST

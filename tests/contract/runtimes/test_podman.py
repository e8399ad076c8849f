"""The contract suite over Podman, which speaks Docker's API: what an engine is asked is the same for both."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.container_engine import answers
from tests.contract.runtimes.networks import NetworkSuite
from tests.contract.runtimes.seen import Launch, first_line, text_of
from tests.contract.runtimes.suite import Suite
from tests.debian_image import debian_archive

from wildsage.core.errors import RuntimeRefused
from wildsage.runtimes.base import LaunchSpec, Mount
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.runtime import Containers

_IMAGE = "localhost/wildsage-test/debian:latest"


@pytest.fixture(scope="module")
def podman() -> Iterator[str]:
    """The address of a Podman with storage of its own, and the base image."""
    if shutil.which("podman") is None:
        pytest.skip("needs podman: apt-get install podman")
    folder = Path(tempfile.mkdtemp(prefix="wildsage-", dir="/run"))
    command = ["podman", f"--root={folder}/root", f"--runroot={folder}/run"]
    place = f"{folder}/podman.sock"
    # Its own defaults are more than root may set in a container that lacks CAP_SYS_RESOURCE.
    settings = folder / "containers.conf"
    settings.write_text('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n')
    environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
    serve = [*command, "system", "service", "--time=0", f"unix://{place}"]
    # Where it runs, the monitor of a container that ran out of memory leaves a file "oom".
    with subprocess.Popen(serve, env=environment, cwd=folder) as service:
        try:
            end = time.monotonic() + 60
            while not answers(place):
                assert service.poll() is None and time.monotonic() < end
                time.sleep(0.05)
            subprocess.run([*command, "import", "--quiet", str(debian_archive()), _IMAGE], check=True)
            yield f"unix://{place}"
        finally:
            service.terminate()
    subprocess.run([*command, "system", "reset", "--force"], check=False)
    shutil.rmtree(folder, ignore_errors=True)


class InPodman:
    """Binds the runtime over Podman."""

    @pytest.fixture
    def runtime(self, podman: str) -> Containers:
        return Containers(Engine({"DOCKER_HOST": podman}))

    @pytest.fixture
    def other(self, podman: str) -> Containers:
        return Containers(Engine({"DOCKER_HOST": podman}))

    @pytest.fixture
    def lenient(self, podman: str) -> Containers:
        return Containers(Engine({"DOCKER_HOST": podman}), metadata=True)

    @pytest.fixture
    def plain(self) -> LaunchSpec:
        return LaunchSpec("", Path(), ("python3",), {}, image=_IMAGE)


class TestPodman(InPodman):
    """What the two engines might do differently; the whole suite takes longer than it tells more."""

    spec = Suite.spec
    launch = Suite.launch
    connect = NetworkSuite.connect
    join = NetworkSuite.join

    test_argv = Suite.test_argv_environment_hostname_and_directory
    test_idempotence = Suite.test_launch_is_idempotent
    test_exit_codes = Suite.test_exit_codes
    test_what_cannot_be_run = Suite.test_what_cannot_be_run
    test_offsets = Suite.test_logs_from_an_offset
    test_mounts = Suite.test_mounts
    test_memory_limit = Suite.test_memory_limit
    test_stop = Suite.test_stop_lets_the_process_finish
    test_isolated = Suite.test_isolated_network_reaches_nothing
    test_the_host_is_reached = Suite.test_host_network_reaches_the_host
    test_hosts = NetworkSuite.test_hosts_resolve_and_reach_each_other

    async def test_a_layered_mount_is_read_only(self, runtime: Containers, launch: Launch, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "seen").write_text("seen")
        code = (
            "print(open('/data/seen').read())\n"
            "try: open('/data/seen', 'w')\nexcept OSError as error: print(error.strerror)"
        )
        handle = await launch(code, mounts=(Mount(tmp_path / "data", "/data", layered=True),))
        assert await text_of(runtime, handle) == "seen\nRead-only file system"

    async def test_what_it_cannot_do_is_refused(self, runtime: Containers, launch: Launch) -> None:
        with pytest.raises(RuntimeRefused, match="Docker"):
            await launch("pass", serves=True, network="isolated")

    async def test_it_is_reached_where_it_serves(self, runtime: Containers, launch: Launch) -> None:
        code = (
            "import socket; server = socket.create_server(('0.0.0.0', 8080)); print('listening')\n"
            "peer, _ = server.accept(); peer.sendall(b'hello'); peer.shutdown(socket.SHUT_WR); peer.recv(1)"
        )
        handle = await launch(code, serves=True)
        assert await first_line(runtime, handle) == "listening"
        host, _, port = runtime.address_of(handle).removeprefix("tcp:").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()

"""What hangs and is not dead, instances of two, a router of two: others do its work until it is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.byoc_images import Images
from tests.conftest import Server, start_server
from tests.e2e.containers import endpoint, model, served
from tests.e2e.jobs import deploy
from tests.e2e.killing import gone
from tests.e2e.load import Load
from tests.e2e.test_routers import ECHO, call, replaced
from tests.waiting import wait_until

SERVE = """#!/usr/bin/env python3
import http.server, signal, sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # by itself process 1 ignores it, and has 30 seconds

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
SECONDS = 4.0
"""That a request may take."""


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Iterator[Server]:
    found = start_server(
        short_directory / "hanging", "--routers", "2", variables={"WILDSAGE_INVOKE_SECONDS": str(SECONDS)}
    )
    yield found
    found.stop()


def freeze(folder: Path) -> None:
    """SIGSTOP to everything in the container whose folder that is, but for its keeper."""
    state = dict(line.split(" ", 1) for line in (folder / "keeper").read_text().splitlines())
    keeper = int(state["pid"])
    for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
        for below in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(below), signal.SIGSTOP)
        os.kill(int(pid), signal.SIGSTOP)


def test_an_instance_that_hangs_is_passed_over_and_replaced(server: Server) -> None:
    deploy(server, "two", ECHO, 2)
    instances = server.data / "instances"
    one, other = sorted(instances.glob("host-*"))
    with Load(server, "two", connections=4, rate=50) as load:
        freeze(one)
        wait_until(lambda: len(set(instances.glob("host-*")) - {one, other}) == 1, 60)
        load.more()
    # What was inside it, or was sent there before it had not answered: two or three times what waits at a time.
    assert len(load.failures) <= 3 * load.connections, load.failures


def test_an_instance_that_lost_its_network_is_passed_over_and_replaced(server: Server, images: Images) -> None:
    model(server, "cut-off", images.small(serve=SERVE))
    endpoint(server, "cut-off", InitialInstanceCount=2)
    assert served(server, "cut-off")["EndpointStatus"] == "InService"

    def containers() -> list[str]:
        places = ("ps", "--format", '{{.Names}} {{.Label "wildsage.directory"}}')
        lines = subprocess.run([*images.docker, *places], capture_output=True, text=True, check=True).stdout
        return [line.split()[0] for line in lines.splitlines() if str(server.data) in line]

    one, other = containers()
    with Load(server, "cut-off", connections=4, rate=50) as load:
        load.more()
        # Its network has its name, for nobody else is on it.
        subprocess.run([*images.docker, "network", "disconnect", "--force", one, one], check=True)
        wait_until(lambda: len(set(containers()) - {one, other}) == 1)
        load.more()
    assert len(load.failures) <= 3 * load.connections, load.failures
    server.client("sagemaker").delete_endpoint(EndpointName="cut-off")
    wait_until(lambda: not containers())


def test_a_router_that_hangs_is_replaced(server: Server) -> None:
    """Nothing that it has taken is answered until then; the other one goes on."""
    before = server.status["processes"]
    os.kill(before["router-1"], signal.SIGSTOP)
    wait_until(partial(gone, before["router-1"]), 60)
    wait_until(partial(replaced, server, "router-1", before["router-1"]), 60)
    assert server.status["processes"]["router"] == before["router"]
    for number in range(10):
        assert call(server, f"{number}".encode(), "two") == f"{number}".encode()

"""What hangs and is not dead, an instance of two, a router of two: others do its work until it is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import deploy
from tests.e2e.load import Load
from tests.e2e.test_processes import gone, wait_until
from tests.e2e.test_routers import ECHO, call, replaced

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
    # What was inside it, or was sent there before it had not answered: never more than wait at a time.
    assert len(load.failures) <= 2 * load.connections, load.failures


def test_a_router_that_hangs_is_replaced(server: Server) -> None:
    """Nothing that it has taken is answered until then; the other one goes on."""
    before = server.status["processes"]
    os.kill(before["router-1"], signal.SIGSTOP)
    wait_until(partial(gone, before["router-1"]), 60)
    wait_until(partial(replaced, server, "router-1", before["router-1"]), 60)
    assert server.status["processes"]["router"] == before["router"]
    for number in range(10):
        assert call(server, f"{number}".encode(), "two") == f"{number}".encode()

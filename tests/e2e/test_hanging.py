"""What hangs and is not dead: an instance of two. Others do its work until it is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import deploy
from tests.e2e.load import Load
from tests.e2e.test_processes import wait_until
from tests.e2e.test_routers import ECHO

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

"""Connections change hands only between two processes that both answer."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.waiting import until

from wildsage.dataplane.handover import Receiver, Sender

SECONDS = 60.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


async def test_a_connection_is_taken(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    taken: list[socket.socket] = []
    receiver, sender = Receiver(tmp_path / "door", taken.append), Sender(tmp_path / "door", SECONDS)
    for number in range(3):
        assert await sender(pair[0])
        await until(lambda: len(taken) == number + 1)  # noqa: B023 - it is over before the next
        taken[number].send(b"here")
        assert pair[1].recv(4) == b"here"
    assert sender.answers()
    sender.close()
    receiver.close()
    for sock in taken:
        sock.close()


async def test_nobody_is_there(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    sender = Sender(tmp_path / "door", SECONDS)
    assert not await sender(pair[0])
    assert not sender.answers()
    receiver = Receiver(tmp_path / "door", lambda sock: sock.close())
    assert await sender(pair[0])
    receiver.close()
    await until(lambda: not sender.answers())
    assert not await sender(pair[0])
    sender.close()


async def test_a_connection_whose_descriptor_does_not_arrive_stays_where_it_is(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The kernel leaves it out where the receiving process has as many as it may have."""
    taken: list[socket.socket] = []
    receiver, sender = Receiver(tmp_path / "door", taken.append), Sender(tmp_path / "door", SECONDS)
    for count in (1, 2):
        assert await sender(pair[0])
        await until(lambda: len(taken) == count)  # noqa: B023 - it is over before the next
        with _no_more_descriptors():
            assert not await asyncio.wait_for(sender(pair[0]), SECONDS)
        assert sender.answers()
    sender.close()
    receiver.close()
    for sock in taken:
        sock.close()


@contextmanager
def _no_more_descriptors() -> Iterator[None]:
    """What is received finds no number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(following := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (following, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_who_does_not_answer_gets_nothing(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    """A process that is stopped: its socket is there, and what was sent to it stays in the socket's queue."""
    path, taken = tmp_path / "door", list[socket.socket]()
    stopped = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stopped.bind(str(path))
    stopped.listen()
    sender = Sender(path, 0.05)
    assert not await sender(pair[0])
    assert not sender.answers()
    assert not await sender(pair[0])
    line, _ = stopped.accept()
    offer, descriptors, _, _ = socket.recv_fds(line, 32, 1)
    line.send(b"t" + offer[1:])  # it goes on, too late
    line.setblocking(False)
    refusal = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(line, 32), SECONDS)
    assert refusal == b"n" + offer[1:]
    for descriptor in descriptors:
        socket.close(descriptor)
    offering = asyncio.ensure_future(sender(pair[0]))
    await asyncio.sleep(0)
    line.close()  # it is restarted
    stopped.close()
    assert not await asyncio.wait_for(offering, SECONDS)
    receiver = Receiver(path, taken.append)
    assert await sender(pair[0])
    sender.close()
    receiver.close()
    for sock in taken:
        sock.close()

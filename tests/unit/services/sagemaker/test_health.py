"""When a container that served counts as ill."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from wildsage.core.clock import SystemClock
from wildsage.services.sagemaker.instance.health import Patience, until_healthy, until_ill
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

PATIENCE = Patience(every=0.01, again=0.01, bad=3, silence=3.0, idle=1.0)


class Senders:
    """Who sends a container requests. ``doubts``: what they were told; ``idle``: what they say."""

    def __init__(self, idle: bool = False, excused: bool = False) -> None:
        self.doubts: list[float] = []
        self._idle = idle
        self._excused = excused

    async def doubt(self, seconds: float) -> bool:
        self.doubts.append(seconds)
        return self._idle

    def excused(self) -> bool:
        return self._excused


class Model:
    """Answers /ping as it is told: with a status, or not at all."""

    def __init__(self) -> None:
        self.address = ""
        self.statuses = [200]
        self.asked = 0
        self._often = asyncio.Event()
        self._enough = 0

    async def often(self, times: int) -> None:
        """Waits until it was asked so often."""
        self._enough = times
        async with asyncio.timeout(60):
            await self._often.wait()

    async def answer(self, _request: Request) -> Response:
        self.asked += 1
        if self.asked == self._enough:
            self._often.set()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not status:
            await asyncio.sleep(3600)
        return Response(status, [], b"")


@pytest.fixture
async def model(tmp_path: Path) -> AsyncIterator[Model]:
    found = Model()
    server = await start_server(found.answer, path=tmp_path / "s", cancel_when_gone=True)
    found.address = f"unix:{tmp_path / 's'}"
    yield found
    await server.close(0)


async def test_some_bad_answers_are_forgiven(model: Model) -> None:
    model.statuses = [200, 500, 500, 200, 500, 200, 503, 404, 200, 200]
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, PATIENCE, Senders()))
    await model.often(30)
    assert not watching.done()
    watching.cancel()


async def test_bad_answers_in_a_row_are_an_illness(model: Model) -> None:
    model.statuses = [200, 500, 500, 200, 500]
    async with asyncio.timeout(60):
        await until_ill(SystemClock(), model.address, PATIENCE, Senders())
    assert model.asked == 7


async def test_a_server_that_is_busy_may_be_silent_for_a_while(model: Model) -> None:
    """Two seconds go by without an answer, which is less than the silence that is allowed."""
    model.statuses = [0, 200]
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, PATIENCE, Senders()))
    await model.often(5)
    assert not watching.done()
    watching.cancel()


async def test_silence_is_an_illness_in_the_end(model: Model) -> None:
    model.statuses = [200, 0]
    async with asyncio.timeout(60):
        await until_healthy(SystemClock(), model.address)
        await until_ill(SystemClock(), model.address, replace(PATIENCE, bad=1), Senders())
    assert model.asked == 3  # two seconds each time


async def test_silence_of_one_that_has_nothing_to_do_is_an_illness_soon(model: Model) -> None:
    model.statuses = [0]
    async with asyncio.timeout(60):
        await until_ill(SystemClock(), model.address, replace(PATIENCE, bad=2, silence=3600), Senders(idle=True))
    assert model.asked == 2


async def test_one_silence_is_no_illness_however_long_ago_it_was_heard(model: Model) -> None:
    """So it is after the machine was suspended."""
    model.statuses = [0, 200]
    impatient = replace(PATIENCE, silence=0.1, idle=0.1)
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, impatient, Senders(idle=True)))
    await model.often(3)
    assert not watching.done()
    watching.cancel()


async def test_silence_is_no_sign_while_it_is_excused(model: Model) -> None:
    model.statuses = [0]
    impatient = replace(PATIENCE, bad=1, silence=0.1, idle=0.1)
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, impatient, Senders(True, True)))
    await model.often(2)
    assert not watching.done()
    watching.cancel()


async def test_requests_go_elsewhere_while_it_is_not_well(model: Model) -> None:
    model.statuses = [200, 500, 500, 200, 200, 500, 200]
    senders = Senders()
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, PATIENCE, senders))
    await model.often(9)
    watching.cancel()
    aside = PATIENCE.aside
    assert senders.doubts == [aside, aside, 0.0, aside, 0.0]


async def test_a_queue_that_is_full_is_silence() -> None:
    """The kernel drops who wants to join it: that tells nothing of the server, but that it has much to do."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as queue:
        place = listener.getsockname()
        for _ in range(2):  # as many as a queue for none has room for
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(place)
        watching = asyncio.create_task(
            until_ill(SystemClock(), f"tcp:127.0.0.1:{place[1]}", replace(PATIENCE, bad=1, silence=60), Senders())
        )
        done, _ = await asyncio.wait([watching], timeout=6)
        assert not done
        watching.cancel()


async def test_nobody_there(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        await until_ill(SystemClock(), f"unix:{tmp_path / 'nobody'}", PATIENCE, Senders())

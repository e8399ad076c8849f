"""When a container that served counts as ill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wildsage.core.clock import SystemClock
from wildsage.services.sagemaker.instance.health import Patience, until_healthy, until_ill
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

PATIENCE = Patience(every=0.01, again=0.01, bad=3, silence=3.0)


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
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, PATIENCE))
    await model.often(30)
    assert not watching.done()
    watching.cancel()


async def test_bad_answers_in_a_row_are_an_illness(model: Model) -> None:
    model.statuses = [200, 500, 500, 200, 500]
    async with asyncio.timeout(60):
        await until_ill(SystemClock(), model.address, PATIENCE)
    assert model.asked == 7


async def test_a_server_that_is_busy_may_be_silent_for_a_while(model: Model) -> None:
    """Two seconds go by without an answer, which is less than the silence that is allowed."""
    model.statuses = [0, 200]
    watching = asyncio.create_task(until_ill(SystemClock(), model.address, PATIENCE))
    await model.often(5)
    assert not watching.done()
    watching.cancel()


async def test_silence_is_an_illness_in_the_end(model: Model) -> None:
    model.statuses = [200, 0]
    async with asyncio.timeout(60):
        await until_healthy(SystemClock(), model.address)
        await until_ill(SystemClock(), model.address, PATIENCE)


async def test_nobody_there(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        await until_ill(SystemClock(), f"unix:{tmp_path / 'nobody'}", PATIENCE)

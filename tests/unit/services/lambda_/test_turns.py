"""Who may start, and when."""

from __future__ import annotations

import asyncio

import pytest

from wildsage.services.lambda_.workers.turns import Turns


class Starts:
    """Starts that last until they are told to end, in the order in which they had their turns."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.began: list[int] = []
        self.over = [asyncio.Event() for _ in range(5)]
        self._more = asyncio.Event()

    async def run(self, number: int) -> None:
        async with self._turns.mine() as turn:
            self.began.append(number)
            self._more.set()
            turn.over = self.over[number]

    async def until(self, began: list[int]) -> None:
        async with asyncio.timeout(60):
            while self.began != began:
                self._more.clear()
                await self._more.wait()


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_so_many_at_a_time_and_in_order() -> None:
    starts = Starts(Turns(2, longest=600.0))
    tasks = [asyncio.create_task(starts.run(number)) for number in range(5)]
    await starts.until([0, 1])
    await _settled()
    assert starts.began == [0, 1]
    starts.over[1].set()
    await starts.until([0, 1, 2])
    await _settled()
    assert starts.began == [0, 1, 2]
    tasks[3].cancel()  # who asked has gone
    starts.over[0].set()
    await starts.until([0, 1, 2, 4])


async def test_one_that_fails_and_one_that_takes_its_time_keep_nobody_waiting() -> None:
    turns = Turns(1, longest=0.01)
    with pytest.raises(OSError, match="no"):
        async with turns.mine():
            raise OSError("no")
    starts = Starts(turns)
    await asyncio.gather(*(starts.run(number) for number in range(3)))
    assert starts.began == [0, 1, 2]

"""Work that nobody waits for is held on to, and ends when its owner does."""

from __future__ import annotations

import asyncio
import gc

from wildsage.core.background import Background


async def test_work_that_nobody_else_knows_is_done() -> None:
    background, done = Background(), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        gc.collect()
        done.set()

    background.begin(work())
    gc.collect()
    await asyncio.wait_for(done.wait(), 60)
    await background.close()


async def test_it_ends_before_close_returns() -> None:
    background, ended = Background(), list[str]()

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)  # even one that has something to put away
            ended.append(name)

    for name in ("one", "two"):
        background.begin(work(name))
    await asyncio.sleep(0)
    await background.close()
    assert sorted(ended) == ["one", "two"]

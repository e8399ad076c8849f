"""Who waits is woken, who listens is told, and who has gone is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from wildsage.kit.hints import Hints


async def test_all_who_wait_are_woken_and_all_who_listen_are_told() -> None:
    hints, heard = Hints(), list[str]()
    hints.listen("a", heard.append)
    waiting = [asyncio.create_task(hints.wait("a", 60)) for _ in range(2)]
    other = asyncio.create_task(hints.wait("b", 0.01))
    await asyncio.sleep(0)
    hints.notify("a", about="one")
    assert await asyncio.gather(*waiting) == [True, True]
    assert not await other
    assert heard == ["one"]


async def test_nothing_is_kept_of_those_who_have_gone() -> None:
    hints = Hints()
    assert not await hints.wait("late", 0.001)
    cancelled = asyncio.create_task(hints.wait("cancelled"))
    stays = asyncio.create_task(hints.wait("shared"))
    leaves = asyncio.create_task(hints.wait("shared", 0.001))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert not await leaves
    assert list(hints._waiters) == ["shared"]
    hints.notify("shared")
    assert await stays
    assert not hints._waiters

"""Steps that take the same pieces, each at its own pace."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from wildsage.objects.strands import Pieces, Strands


async def test_every_step_takes_all_pieces_in_order_and_none_waits_for_another() -> None:
    go_on = threading.Event()
    quick: list[bytes] = []
    slow: list[bytes] = []
    ahead = threading.Event()

    def take(pieces: Pieces) -> None:
        quick.extend(pieces)
        if len(quick) == 3:
            ahead.set()

    def take_slowly(pieces: Pieces) -> None:
        go_on.wait(60)
        slow.extend(pieces)

    with ThreadPoolExecutor(4) as threads:
        strands = Strands(threads, (take, take_slowly), 2)
        for number in range(2):
            await strands.give([b"%d" % number])
        third = asyncio.create_task(strands.give([b"2"]))
        assert await asyncio.to_thread(ahead.wait, 60)
        assert not slow
        assert not third.done()  # there is no room for more
        go_on.set()
        await third
        for number in range(3, 50):
            await strands.give([b"%d" % number])
        await strands.finish()
    assert quick == slow == [b"%d" % number for number in range(50)]


async def test_what_a_step_raises_comes_out_and_it_takes_no_more() -> None:
    taken: list[bytes] = []

    def fail(pieces: Pieces) -> None:
        taken.extend(pieces)
        raise OSError("full")

    with ThreadPoolExecutor(4) as threads:
        strands = Strands(threads, (fail, lambda _: None), 2)
        with pytest.raises(OSError, match="full"):
            for number in range(10):
                await strands.give([b"%d" % number])
        strands.stop()
        with pytest.raises(OSError, match="full"):
            await strands.finish()
    assert taken == [b"0"]

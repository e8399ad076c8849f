"""Standing jobs, on a clock that only tests move."""

from __future__ import annotations

import asyncio
import logging

import pytest

from wildsage.core.clock import ManualClock
from wildsage.kit.standing import PAUSES, standing


async def test_a_job_that_ends_begins_again_later_and_later(caplog: pytest.LogCaptureFixture) -> None:
    clock, begun = ManualClock(0.0), list[float]()

    async def failing() -> None:
        begun.append(clock.now())
        if len(begun) % 2:
            raise KeyError("nobody foresaw it")

    running = asyncio.create_task(standing("counting", failing, clock))
    await asyncio.sleep(0)
    for _ in range(200):
        await clock.advance(1)
    assert begun == [0.0, 1.0, 6.0, 36.0, 96.0, 156.0]
    assert "counting ended, which is a bug; it begins again in 1 s" in caplog.text
    assert "KeyError: 'nobody foresaw it'" in caplog.text
    assert not running.done()
    running.cancel()


async def test_one_that_ran_for_long_begins_again_soon() -> None:
    clock, begun = ManualClock(0.0), list[float]()

    async def lasting() -> None:
        begun.append(clock.now())
        if len(begun) == 4:
            await clock.sleep(1000)

    running = asyncio.create_task(standing("lasting", lasting, clock))
    await asyncio.sleep(0)
    for _ in range(1100):
        await clock.advance(1)
    # It ended three times at once, and then not for long: the first pause again.
    assert begun[3:6] == [36.0, 1037.0, 1042.0]
    running.cancel()


async def test_it_ends_when_it_is_cancelled_and_not_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    clock, closed = ManualClock(0.0), list[str]()
    caplog.set_level(logging.DEBUG)

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append("yes")

    running = asyncio.create_task(standing("waiting", waiting, clock))
    await clock.advance(PAUSES[-1])
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (closed, caplog.text) == (["yes"], "")


@pytest.mark.parametrize("raises", [True, False])
async def test_one_that_makes_something_else_of_its_cancellation_ends_all_the_same(
    caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    """Whoever cancelled it waited for ever: it had begun to wait for the time to begin again."""

    async def muddled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if raises:
                raise KeyError("amid its end") from None

    running = asyncio.create_task(standing("muddled", muddled, ManualClock(0.0)))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running], timeout=60)
    assert running.cancelled()
    assert ("KeyError: 'amid its end'" in caplog.text) is raises

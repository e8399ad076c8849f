"""Standing jobs, on a clock that only tests move."""

from __future__ import annotations

import asyncio
import logging

import pytest

from wildsage.core.clock import ManualClock
from wildsage.kit.standing import PAUSES, standing


async def pass_(clock: ManualClock, seconds: int) -> None:
    """Time in which everybody does what there is to do at each moment."""
    for second in range(seconds + 1):
        await clock.advance(min(second, 1))
        for _ in range(20):
            await asyncio.sleep(0)


async def test_a_job_that_ends_begins_again_later_and_later(caplog: pytest.LogCaptureFixture) -> None:
    clock, begun = ManualClock(0.0), list[float]()

    async def failing() -> None:
        begun.append(clock.now())
        if len(begun) % 2:
            raise KeyError("nobody foresaw it")

    running = asyncio.create_task(standing("counting", failing, clock))
    await pass_(clock, 200)
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
    await pass_(clock, 1100)
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
    await pass_(clock, int(PAUSES[-1]))
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

    begun = asyncio.Event()

    async def muddled() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if raises:
                raise KeyError("amid its end") from None

    running = asyncio.create_task(standing("muddled", muddled, ManualClock(0.0)))
    await asyncio.wait_for(begun.wait(), 60)
    running.cancel()
    await asyncio.wait([running], timeout=60)
    assert running.cancelled()
    assert ("KeyError: 'amid its end'" in caplog.text) is raises


async def test_one_that_consists_of_several_begins_again_too() -> None:
    """A TaskGroup cancels the task that it is in for each of its own that fails, and need not take that back."""
    clock, begun = ManualClock(0.0), list[float]()

    async def failing() -> None:
        begun.append(clock.now())
        await asyncio.sleep(0)
        raise KeyError("nobody foresaw it")

    async def several() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing())
            group.create_task(asyncio.Event().wait())

    running = asyncio.create_task(standing("several", several, clock))
    await pass_(clock, 10)
    assert begun == [0.0, 1.0, 6.0]
    running.cancel()
    await asyncio.wait([running], timeout=60)
    assert running.cancelled()

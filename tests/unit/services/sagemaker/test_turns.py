"""How many jobs run at once, and in which order."""

from __future__ import annotations

import asyncio

from tests.unit.services.sagemaker.conftest import ACCOUNT, REGION, Server, Training
from tests.unit.services.sagemaker.test_spot import says
from tests.unit.services.sagemaker.test_training import left_behind, stages

from wildsage.core.jobs import JobSettings
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.services.sagemaker.training.turns import Gate, Turns

WAITS = "import time\nprint('begins', flush=True)\nwhile True: time.sleep(60)"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    gate = Gate(1)
    assert gate.take("a")
    assert gate.take("a")
    assert not gate.take("b")
    order: list[str] = []

    async def enter(job: str) -> None:
        await gate.enter(job)
        order.append(job)

    tasks = {job: asyncio.create_task(enter(job)) for job in ("b", "c", "d")}
    await settle()
    tasks["c"].cancel()
    gate.leave("a")
    await settle()
    assert order == ["b"]
    assert not gate.take("e"), "who comes now waits behind the others"
    gate.leave("nobody")
    gate.leave("b")
    await asyncio.gather(tasks["d"])
    assert order == ["b", "d"]


async def test_a_turn_that_is_given_up_in_the_moment_that_it_comes_goes_to_the_next() -> None:
    gate = Gate(1)
    gate.hold("a")
    task = asyncio.create_task(gate.enter("b"))
    await settle()
    gate.leave("a")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gate.take("c")


async def test_who_runs_after_a_restart_has_its_place() -> None:
    turns = Turns(1)
    for job in ("a", "b"):
        turns.begins(job, "train")
    assert not turns.running.take("c")
    turns.is_in("a", "upload")
    assert not turns.running.take("c")
    turns.is_in("b", "upload")
    assert turns.running.take("c")


async def waits_with_its_input(server: Server, name: str) -> None:
    """Of several jobs that come together the one that is prepared first is first."""
    async with asyncio.timeout(120):
        while True:
            job = await server.control.platform.resources.get(TRAINING_JOB.key(ACCOUNT, REGION, name))
            assert job is not None
            if job.state.get("stage") == "turn":
                return
            await asyncio.sleep(0.05)


async def test_jobs_wait_for_their_turn_and_say_so(server: Server, training: Training) -> None:
    await server.stop()
    server.jobs = JobSettings(at_once=1)
    await server.start()
    await training.create("first", WAITS)
    await says(server, "first", "begins")
    await training.create("second", WAITS)
    await waits_with_its_input(server, "second")
    for name in ("third", "fourth"):
        await training.create(name, WAITS)
    async with asyncio.timeout(120):
        while True:
            found = await server.call("sagemaker", "DescribeTrainingJob", TrainingJobName="fourth")
            if found["SecondaryStatus"] == "Pending":
                break
            await asyncio.sleep(0.05)
    assert found["TrainingJobStatus"] == "InProgress"
    assert found["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job waiting for capacity"
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="third")
    assert (await training.end("third"))["TrainingJobStatus"] == "Stopped"
    await server.stop()
    await server.start()  # the order and the one that runs are found again
    for name in ("first", "second", "fourth"):
        await says(server, name, "begins")
        await server.call("sagemaker", "StopTrainingJob", TrainingJobName=name)
        assert (await training.end(name))["TrainingJobStatus"] == "Stopped"
    job = await training.end("fourth")
    assert stages(job)[:2] == ["Starting", "Pending"]
    assert await left_behind(server) == []

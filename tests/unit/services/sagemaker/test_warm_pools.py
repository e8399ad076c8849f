"""Warm pools: jobs in real containers, one after another on the same instances."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from tests.e2e.killing import gone
from tests.unit.services.sagemaker.conftest import ACCOUNT, REGION, Server, Training
from tests.unit.services.sagemaker.test_spot import lines, says, until
from tests.unit.services.sagemaker.test_training import left_behind

from wildsage.core.clock import ManualClock
from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.services.sagemaker.training.kind import LOG_GROUP, TRAINING_JOB
from wildsage.services.sagemaker.training.warm import rules
from wildsage.services.sagemaker.training.warm.controller import WarmPoolController
from wildsage.services.sagemaker.training.warm.pools import WARM_POOL, Pools, folder, record
from wildsage.store.resources import Resource

# Says what it finds of the job before, and leaves something everywhere.
LEAVES = """
import os, pathlib
cache = pathlib.Path(os.environ["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"])
assert str(cache) == "/opt/ml/sagemaker/warmpoolcache"
print("cache", sorted(path.name for path in cache.iterdir()), flush=True)
cache.joinpath(os.environ["TRAINING_JOB_NAME"]).write_text("kept")
cache.joinpath("link").unlink(missing_ok=True)
cache.joinpath("link").symlink_to("/etc/hostname")
places = ["/opt/ml/model", "/opt/ml/output/data", "/opt/ml/checkpoints", "/opt/ml", "/tmp", "/var/tmp", "/root"]
print("left", [place for place in places if os.path.exists(f"{place}/secret")], flush=True)
for place in places:
    pathlib.Path(place, "secret").write_text("of this job")
"""
# Each of two instances reaches the other.
REACHES = """
import socket, time
cache.joinpath(os.environ["SM_CURRENT_HOST"]).touch()
listening = socket.create_server(("0.0.0.0", 7000))
other = {"algo-1": "algo-2", "algo-2": "algo-1"}[os.environ["SM_CURRENT_HOST"]]
for _ in range(600):
    try:
        socket.create_connection((other, 7000)).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    raise TimeoutError(other)
listening.accept()
"""
WAITS = "import time\nprint('begins', flush=True)\nwhile True: time.sleep(60)"


def kept(seconds: int, **changes: Any) -> dict[str, Any]:
    return {
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 30,
            "KeepAlivePeriodInSeconds": seconds,
            **changes,
        }
    }


async def pool_of(server: Server, name: str) -> dict[str, Any]:
    job = await server.call("sagemaker", "DescribeTrainingJob", TrainingJobName=name)
    found: dict[str, Any] = job.get("WarmPoolStatus", {})
    return found


async def becomes(server: Server, name: str, status: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        found = await pool_of(server, name)
        return found if found.get("Status") == status else None

    found: dict[str, Any] = await until(there)
    return found


async def update(server: Server, name: str, seconds: int) -> None:
    resources = {"KeepAlivePeriodInSeconds": seconds}
    await server.call("sagemaker", "UpdateTrainingJob", TrainingJobName=name, ResourceConfig=resources)


async def listed(server: Server, **filters: Any) -> list[str]:
    answer = await server.call("sagemaker", "ListTrainingJobs", **filters)
    return [each["TrainingJobName"] for each in answer["TrainingJobSummaries"]]


async def test_a_pool_goes_from_job_to_job_with_its_cache_and_nothing_else(server: Server, training: Training) -> None:
    await training.create("first", LEAVES, **kept(3600))
    job = await training.end("first")
    assert job["TrainingJobStatus"] == "Completed", job
    assert job["WarmPoolStatus"]["Status"] == "Available"
    assert await listed(server, WarmPoolStatusEquals="Available") == ["first"]
    with pytest.raises(ApiError, match="retains an Available warm pool") as refused:
        await server.call("sagemaker", "DeleteTrainingJob", TrainingJobName="first")
    assert refused.value.code == "ResourceInUse"

    await training.create("second", LEAVES, **kept(1800))
    job = await training.end("second")
    assert job["TrainingJobStatus"] == "Completed", job
    told = [line for line in await lines(server, "second") if line.startswith(("cache", "left"))]
    assert told == ["cache ['first', 'link']", "left []"]
    reused = await pool_of(server, "first")
    assert (reused["Status"], reused["ReusedByJob"]) == ("Reused", "second")
    assert reused["ResourceRetainedBillableTimeInSeconds"] >= 0
    assert job["WarmPoolStatus"]["Status"] == "Available"
    assert len(await left_behind(server)) == 1

    # Without KeepAlivePeriodInSeconds the pool is used once more, and then ends.
    await training.create("last", LEAVES)
    job = await training.end("last")
    assert "cache ['first', 'link', 'second']" in await lines(server, "last")
    assert job["WarmPoolStatus"] == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}
    assert await left_behind(server) == []
    assert await listed(server, WarmPoolStatusEquals="Reused", SortBy="Name") == ["second", "first"]
    assert await listed(server, WarmPoolStatusEquals="Reused", NameContains="fir") == ["first"]
    assert await listed(server, WarmPoolStatusEquals="Reused", StatusEquals="Failed") == []
    summaries = (await server.call("sagemaker", "ListTrainingJobs"))["TrainingJobSummaries"]
    assert [each["WarmPoolStatus"]["Status"] for each in summaries] == ["Terminated", "Reused", "Reused"]
    for name in ("first", "second", "last"):
        await server.call("sagemaker", "DeleteTrainingJob", TrainingJobName=name)
    assert await server.control.platform.resources.all_of(WARM_POOL) == []


async def test_a_job_that_does_not_match_has_instances_of_its_own(server: Server, training: Training) -> None:
    await training.create("small", LEAVES, **kept(3600))
    await training.end("small")
    await training.create("large", LEAVES, **kept(3600, InstanceType="ml.m5.xlarge"))
    job = await training.end("large")
    assert "cache []" in await lines(server, "large")
    assert job["WarmPoolStatus"]["Status"] == "Available"
    assert await listed(server, WarmPoolStatusEquals="Available") == ["large", "small"]
    await training.create("plain", "print('fine')", EnableNetworkIsolation=True)
    assert "WarmPoolStatus" not in await training.end("plain")


async def test_what_is_kept_ends_after_its_time_or_when_a_person_says_so(server: Server, training: Training) -> None:
    await training.create("short", LEAVES, **kept(1))
    job = await training.end("short")
    assert job["WarmPoolStatus"]["Status"] in ("Available", "Terminated")
    ended = await becomes(server, "short", "Terminated")
    assert ended["ResourceRetainedBillableTimeInSeconds"] >= 1
    with pytest.raises(ApiError, match="the status of its warm pool is Terminated"):
        await update(server, "short", 60)

    await training.create("told", LEAVES, **kept(3600))
    await training.end("told")
    assert "cache []" in await lines(server, "told"), "nothing is left of a pool that has ended"
    await update(server, "told", 7200)
    job = await server.call("sagemaker", "DescribeTrainingJob", TrainingJobName="told")
    assert job["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 7200
    assert job["WarmPoolStatus"]["Status"] == "Available"
    await update(server, "told", 0)
    await becomes(server, "told", "Terminated")
    assert await left_behind(server) == []


async def test_failed_and_stopped_jobs_leave_a_pool_others_do_not(server: Server, training: Training) -> None:
    await training.create("fails", "raise ValueError('no')", **kept(3600))
    job = await training.end("fails")
    assert (job["TrainingJobStatus"], job["WarmPoolStatus"]["Status"]) == ("Failed", "Available")
    await training.create("stopped", WAITS, **kept(3600))
    await says(server, "stopped", "begins")
    assert (await pool_of(server, "fails"))["ReusedByJob"] == "stopped"
    assert await pool_of(server, "stopped") == {"Status": "InUse"}
    with pytest.raises(ApiError, match="the status of its warm pool is InUse"):
        await update(server, "stopped", 60)
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="stopped")
    job = await training.end("stopped")
    assert (job["TrainingJobStatus"], job["WarmPoolStatus"]["Status"]) == ("Stopped", "Available")
    image = {"TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", "TrainingInputMode": "File"}
    await training.create("image", LEAVES, AlgorithmSpecification=image, **kept(3600))
    job = await training.end("image")
    assert job["WarmPoolStatus"] == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}
    await training.create("plain", "print('fine')", **kept(0, InstanceType="ml.m5.xlarge"))
    await training.end("plain")
    with pytest.raises(ApiError, match="the training job has no warm pool"):
        await update(server, "plain", 60)


async def hub_of(server: Server, name: str) -> int:
    """The process that holds the network of a pool."""
    found = await server.control.platform.resources.get(record(TRAINING_JOB.key(ACCOUNT, REGION, name)))
    assert found is not None
    pid: int = found.state["network"]["handle"]["pid"]
    return pid


async def test_several_instances_keep_their_network_and_a_cache_each(server: Server, training: Training) -> None:
    script = LEAVES + REACHES
    for name in ("one", "two", "three"):
        if name == "three":
            os.kill(await hub_of(server, "two"), signal.SIGKILL)  # a cluster that is not healthy is made anew
        await training.create(name, script, **kept(3600, InstanceCount=2))
        job = await training.end(name)
        assert job["TrainingJobStatus"] == "Completed", job
    for host in ("algo-1", "algo-2"):
        found = await server.log(LOG_GROUP, f"three/{host}-")
        assert f"cache ['{host}', 'link', 'one', 'two']" in found
    hubs = [await hub_of(server, name) for name in ("one", "two", "three")]
    assert hubs[0] == hubs[1] != hubs[2]
    await update(server, "three", 0)
    await becomes(server, "three", "Terminated")
    assert gone(hubs[2])
    assert await left_behind(server) == []


async def test_a_new_control_process_goes_on_with_pools(server: Server, training: Training) -> None:
    await training.create("before", LEAVES, **kept(3600))
    await training.end("before")
    await server.stop()
    await server.start()
    await training.create("across", WAITS, **kept(2))
    await says(server, "across", "begins")
    await server.stop()
    await server.start()
    assert await pool_of(server, "across") == {"Status": "InUse"}
    await server.call("sagemaker", "StopTrainingJob", TrainingJobName="across")
    await training.end("across")
    await server.stop()
    await server.start()
    await becomes(server, "across", "Terminated")
    assert await left_behind(server) == []


async def test_pools_hold_up_nobody(server: Server, training: Training) -> None:
    """As many pools as the machine runs jobs at once, and more, leave every place to others."""
    at_once = server.control.platform.settings.jobs.at_once
    for number in range(at_once + 1):
        await training.create(f"kept-{number}", "print('fine')", **kept(3600, VolumeSizeInGB=number + 1))
    for number in range(at_once + 1):
        await training.end(f"kept-{number}")
    assert len(await listed(server, WarmPoolStatusEquals="Available")) == at_once + 1
    others = [f"other-{number}" for number in range(at_once)]
    for name in others:
        await training.create(name, WAITS)
    await asyncio.gather(*(says(server, name, "begins") for name in others))


def job_of(name: str, seconds: int) -> Resource:
    spec = {"RoleArn": "arn:aws:iam::000000000000:role/r", **kept(seconds)}
    return Resource(TRAINING_JOB.key(ACCOUNT, REGION, name), spec, state={})


async def stepped(platform: Platform, name: str) -> Resource:
    """The pool after one step, as the engine would apply it."""
    claimed = await platform.resources.claim([WARM_POOL], platform.clock.now(), platform.clock.now() + 30, 1)
    key = record(TRAINING_JOB.key(ACCOUNT, REGION, name))
    for each in claimed:
        step = await WarmPoolController(platform, platform.runtimes["sandbox"]).step(each)
        due = None if step.after is None else platform.clock.now() + step.after
        each.phase, each.status, each.state, each.due = step.phase, step.status, step.state, due
        await platform.resources.apply(each, each, platform.clock.now())
    found = await platform.resources.get(key)
    assert found is not None
    return found


async def test_every_half_done_step_is_done_again(server: Server) -> None:
    """Each transition by itself, cut off and repeated, on a clock that is moved by hand."""
    await server.rest()
    platform = server.control.platform
    clock = platform.clock = ManualClock()
    pools, first, others = (
        Pools(platform, platform.runtimes["sandbox"]),
        job_of("a", 100),
        [job_of(name, 50) for name in "bcd"],
    )
    assert await pools.take(first) == await pools.take(first) == first.uid
    place = folder(platform.settings, first.uid)
    (place / "algo-1").mkdir(parents=True)
    await pools.leave(first, "Completed", "")
    await clock.advance(40)
    await pools.leave(first, "Completed", "")  # control was killed before the job showed its end
    pool = await stepped(platform, "a")
    assert pool.state["ends"] - pool.state["available"] == 100
    assert rules.status(pool, clock.now())["ResourceRetainedBillableTimeInSeconds"] == 40

    taken = await asyncio.gather(*map(pools.take, others))
    (second,) = (job for job, name in zip(others, taken, strict=True) if name == first.uid)
    assert await pools.take(second) == first.uid, "only one of them gets it, and the same again"
    await pools.leave(second, "Stopped", "")
    await clock.advance(50)
    pool = await stepped(platform, second.key.name)
    assert (pool.phase, "ending" in pool.state) == ("Available", True)
    assert await pools.take(job_of("late", 0)) == "", "whose time is over goes to nobody"
    assert place.exists()
    pool = await stepped(platform, second.key.name)
    assert (pool.phase, pool.status, pool.due) == ("Terminated", {"ResourceRetainedBillableTimeInSeconds": 50}, None)
    assert not place.exists()

    lost = job_of("lost", 100)
    await pools.take(lost)
    folder(platform.settings, lost.uid).mkdir()
    await pools.leave(lost, "Failed", "InternalServerError: the container vanished")
    await pools.leave(lost, "Failed", "InternalServerError: the container vanished")
    assert await left_behind(server) == []


async def test_other_regions_pools_are_not_seen(server: Server) -> None:
    await server.rest()
    platform = server.control.platform
    pools, here = Pools(platform, platform.runtimes["sandbox"]), job_of("here", 100)
    await pools.take(here)
    await pools.leave(here, "Completed", "")
    there = Resource(TRAINING_JOB.key(ACCOUNT, "eu-west-1", "there"), job_of("there", 0).spec)
    assert await pools.take(there) == ""

"""CheckpointConfig: a folder of each instance that S3 keeps, so that a job can go on where it was interrupted.

Source: Developer Guide, "Use checkpoints in Amazon SageMaker AI"; API reference, CheckpointConfig.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError, ClientFault
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.synced import Synced
from wildsage.services.sagemaker.instance.together import together
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training.launch import Job

T = TypeVar("T")
Complain = Callable[[str], Awaitable[None]]


def synced(job: Job) -> list[Synced]:
    """One for each instance; none without CheckpointConfig. Several instances share the prefix, as on AWS."""
    config = job.document.get("CheckpointConfig")
    if not config:
        return []
    target = places.parse(config["S3Uri"])
    return [Synced(job.checkpoints(host), target, job.folder(host) / "checkpoints.json") for host in job.hosts]


async def fetch(job: Job, transfers: Transfers) -> None:
    """What S3 has comes into each instance's folder. Raises ClientFault, and OSError."""
    try:
        await together(each.fetch(transfers) for each in synced(job))
    except ApiError as error:
        raise ClientFault(_words(job, "downloaded from", error)) from error


async def finish(job: Job, transfers: Transfers) -> None:
    """S3 has what ended instances left. Raises ClientFault, and OSError."""
    try:
        for each in synced(job):
            await each.finish(transfers)
    except ApiError as error:
        raise ClientFault(_words(job, "uploaded to", error)) from error


async def beside(work: Awaitable[T], job: Job, transfers: Transfers, clock: Clock, complain: Complain) -> T:
    """The result of ``work``; as long as it takes, S3 is kept up to date."""
    keeping = [asyncio.ensure_future(_keep(each, job, transfers, clock, complain)) for each in synced(job)]
    try:
        return await work
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)


async def _keep(each: Synced, job: Job, transfers: Transfers, clock: Clock, complain: Complain) -> None:
    """What goes wrong is said in the job's log; what matters in the end is whether the last attempt succeeds."""
    while True:
        try:
            await each.keep(transfers, clock)
        except ApiError as error:
            await complain(_words(job, "uploaded to", error))
        except ClientFault as fault:
            await complain(str(fault))
        except OSError as error:
            await complain(f"Checkpoints could not be uploaded to {each.target}: {error.strerror}")
        await clock.sleep(10.0)


def _words(job: Job, moved: str, error: ApiError) -> str:
    uri = job.document["CheckpointConfig"]["S3Uri"]
    bucket = places.parse(uri).bucket
    return (
        f"ClientError: Checkpoints could not be {moved} {uri}: {error.message} ({error.code}). Please ensure that the "
        f'bucket exists and that the role "{job.document["RoleArn"]}" has "s3:ListBucket" on bucket "{bucket}" and '
        '"s3:GetObject", "s3:PutObject" and "s3:DeleteObject" on the objects below it.'
    )

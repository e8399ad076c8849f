"""The API operations of processing jobs."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.processing import rules
from wildsage.services.sagemaker.processing.kind import PROCESSING_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

STOP = "stop"

describe_processing_job = described(PROCESSING_JOB)
list_processing_jobs = listed(PROCESSING_JOB)


@operation("CreateProcessingJob")
async def create_processing_job(ctx: Context, request: Document) -> Document:
    rules.check(request)
    created = await crud.create(ctx, PROCESSING_JOB, rules.complete(request), phase="InProgress", due=True)
    return {"ProcessingJobArn": PROCESSING_JOB.arn(created.key)}


@operation("StopProcessingJob")
async def stop_processing_job(ctx: Context, request: Document) -> Document:
    found = await crud.fetch(ctx, PROCESSING_JOB, request["ProcessingJobName"])
    if found.wish == STOP and found.phase not in rules.TERMINAL:
        return {}  # asked already; the grace it has left does not begin anew
    now = ctx.now

    def stop(job: Resource) -> None:
        rules.check_stop(job.phase)
        job.wish = STOP
        job.phase = "Stopping"
        job.state = {**job.state, "stopping": now}

    await crud.edit(ctx, PROCESSING_JOB, request["ProcessingJobName"], stop)
    return {}


@operation("DeleteProcessingJob")
async def delete_processing_job(ctx: Context, request: Document) -> Document:
    found = await crud.fetch(ctx, PROCESSING_JOB, request["ProcessingJobName"])
    rules.check_delete(found.phase, PROCESSING_JOB.arn(found.key))
    await crud.delete(ctx, PROCESSING_JOB, request["ProcessingJobName"])
    return {}

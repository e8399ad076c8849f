"""The API operations of training jobs."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.training import rules
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

STOP = "stop"

describe_training_job = described(TRAINING_JOB)


@operation("CreateTrainingJob")
async def create_training_job(ctx: Context, request: Document) -> Document:
    rules.check(request, ctx.platform.settings.file_systems)
    status = rules.enter({}, "Starting", ctx.now)
    created = await crud.create(ctx, TRAINING_JOB, rules.complete(request), phase="InProgress", status=status, due=True)
    return {"TrainingJobArn": TRAINING_JOB.arn(created.key)}


@operation("ListTrainingJobs")
async def list_training_jobs(ctx: Context, request: Document) -> Document:
    if request.get("WarmPoolStatusEquals") or request.get("TrainingPlanArnEquals"):
        return {TRAINING_JOB.list_member: []}  # no job here has a warm pool or a training plan
    return await crud.list_page(ctx, TRAINING_JOB, request)


@operation("StopTrainingJob")
async def stop_training_job(ctx: Context, request: Document) -> Document:
    found = await crud.fetch(ctx, TRAINING_JOB, request["TrainingJobName"])
    if found.wish == STOP and found.phase not in rules.TERMINAL:
        return {}  # asked already; the grace it has left does not begin anew
    now = ctx.now

    def stop(job: Resource) -> None:
        rules.check_stop(job.phase)
        job.wish = STOP
        job.phase = "Stopping"
        job.status = rules.enter(job.status, "Stopping", now)
        job.state = {**job.state, "stopping": now}

    await crud.edit(ctx, TRAINING_JOB, request["TrainingJobName"], stop)
    return {}


@operation("DeleteTrainingJob")
async def delete_training_job(ctx: Context, request: Document) -> Document:
    found = await crud.fetch(ctx, TRAINING_JOB, request["TrainingJobName"])
    rules.check_delete(found.phase, TRAINING_JOB.arn(found.key))
    await crud.delete(ctx, TRAINING_JOB, request["TrainingJobName"])
    return {}

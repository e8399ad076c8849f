"""The API operations of training jobs."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.instance import jobs
from wildsage.services.sagemaker.training import rules
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.store.codec import Document

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
    return await jobs.stop(ctx, TRAINING_JOB, request, lambda job: rules.enter(job.status, "Stopping", ctx.now))


@operation("DeleteTrainingJob")
async def delete_training_job(ctx: Context, request: Document) -> Document:
    return await jobs.delete(ctx, TRAINING_JOB, request)

"""The API operations of training jobs."""

from __future__ import annotations

from functools import partial

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.instance import jobs
from wildsage.services.sagemaker.training import rules, updates
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.services.sagemaker.training.warm import pools, shown
from wildsage.store.codec import Document
from wildsage.store.companions import removal
from wildsage.store.resources import Resource


@operation("CreateTrainingJob")
async def create_training_job(ctx: Context, request: Document) -> Document:
    rules.check(request, ctx.platform.settings.file_systems)
    status = rules.enter({}, "Starting", ctx.now)
    created = await crud.create(ctx, TRAINING_JOB, rules.complete(request), phase="InProgress", status=status, due=True)
    return {"TrainingJobArn": TRAINING_JOB.arn(created.key)}


@operation("DescribeTrainingJob")
async def describe_training_job(ctx: Context, request: Document) -> Document:
    job = await crud.fetch(ctx, TRAINING_JOB, request["TrainingJobName"])
    pool = await shown.statuses(ctx, [job])
    return {**TRAINING_JOB.describe(job), **pool.get(job.key.name, {})}


@operation("ListTrainingJobs")
async def list_training_jobs(ctx: Context, request: Document) -> Document:
    if request.get("TrainingPlanArnEquals"):
        return {TRAINING_JOB.list_member: []}  # no job here has a training plan
    status = request.get("WarmPoolStatusEquals")
    companion = (pools.WARM_POOL, status) if status else None
    return await crud.list_page(ctx, TRAINING_JOB, request, companion=companion, beside=partial(shown.statuses, ctx))


@operation("UpdateTrainingJob")
async def update_training_job(ctx: Context, request: Document) -> Document:
    job = await crud.fetch(ctx, TRAINING_JOB, request["TrainingJobName"])
    updates.check(request, job)
    if request.get("ResourceConfig"):
        await shown.keep(ctx, job, request["ResourceConfig"]["KeepAlivePeriodInSeconds"])

    def change(found: Resource) -> None:
        updates.check(request, found)
        found.spec = updates.updated(found.spec, request)

    await crud.edit(ctx, TRAINING_JOB, job.key.name, change)
    return {"TrainingJobArn": TRAINING_JOB.arn(job.key)}


@operation("StopTrainingJob")
async def stop_training_job(ctx: Context, request: Document) -> Document:
    return await jobs.stop(ctx, TRAINING_JOB, request, lambda job: rules.enter(job.status, "Stopping", ctx.now))


@operation("DeleteTrainingJob")
async def delete_training_job(ctx: Context, request: Document) -> Document:
    job = await crud.fetch(ctx, TRAINING_JOB, request["TrainingJobName"])
    await shown.refuse_to_delete(ctx, job)
    return await jobs.delete(ctx, TRAINING_JOB, request, [removal(pools.record(job.key))])

"""The API operations of batch transform jobs."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.instance import jobs
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.services.sagemaker.transform import rules
from wildsage.services.sagemaker.transform.kind import TRANSFORM_JOB
from wildsage.store.codec import Document

describe_transform_job = described(TRANSFORM_JOB)
list_transform_jobs = listed(TRANSFORM_JOB)


@operation("CreateTransformJob")
async def create_transform_job(ctx: Context, request: Document) -> Document:
    """The model is copied into the job: that it is deleted or made anew changes nothing for those that run."""
    rules.check(request)
    model = await crud.fetch(ctx, MODEL, request["ModelName"])
    rules.check_model(model.spec)
    state = {"model": model.spec}
    spec = rules.complete(request)
    created = await crud.create(ctx, TRANSFORM_JOB, spec, phase="InProgress", state=state, due=True)
    return {"TransformJobArn": TRANSFORM_JOB.arn(created.key)}


@operation("StopTransformJob")
async def stop_transform_job(ctx: Context, request: Document) -> Document:
    return await jobs.stop(ctx, TRANSFORM_JOB, request, lambda job: job.status)

"""The API operations of processing jobs."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.instance import jobs
from wildsage.services.sagemaker.processing import rules
from wildsage.services.sagemaker.processing.kind import PROCESSING_JOB
from wildsage.store.codec import Document

describe_processing_job = described(PROCESSING_JOB)
list_processing_jobs = listed(PROCESSING_JOB)


@operation("CreateProcessingJob")
async def create_processing_job(ctx: Context, request: Document) -> Document:
    rules.check(request)
    created = await crud.create(ctx, PROCESSING_JOB, rules.complete(request), phase="InProgress", due=True)
    return {"ProcessingJobArn": PROCESSING_JOB.arn(created.key)}


@operation("StopProcessingJob")
async def stop_processing_job(ctx: Context, request: Document) -> Document:
    return await jobs.stop(ctx, PROCESSING_JOB, request, lambda job: job.status)


@operation("DeleteProcessingJob")
async def delete_processing_job(ctx: Context, request: Document) -> Document:
    return await jobs.delete(ctx, PROCESSING_JOB, request)

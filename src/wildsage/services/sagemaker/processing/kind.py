"""The processing job as a resource."""

from __future__ import annotations

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.kind import Kind

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"


def _exists(arn: str) -> ApiError:
    return ApiError(
        "ResourceInUse",
        "Processing job names must be unique within an AWS account and region, and a processing job with this name "
        f"already exists ({arn})",
    )


PROCESSING_JOB = Kind(
    name="sagemaker.processing-job",
    service="sagemaker",
    resource_type="processing-job",
    noun="ProcessingJob",
    missing=lambda arn: ValidationError(f"Could not find requested job with name: {arn.rpartition('/')[2]}"),
    exists=_exists,
    list_member="ProcessingJobSummaries",
    summary=(
        "ProcessingJobName",
        "ProcessingJobArn",
        "CreationTime",
        "ProcessingEndTime",
        "LastModifiedTime",
        "ProcessingJobStatus",
        "FailureReason",
        "ExitMessage",
    ),
)

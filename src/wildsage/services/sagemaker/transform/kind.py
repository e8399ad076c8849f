"""The batch transform job as a resource."""

from __future__ import annotations

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.kind import Kind

LOG_GROUP = "/aws/sagemaker/TransformJobs"


def _exists(arn: str) -> ApiError:
    return ApiError(
        "ResourceInUse",
        "Job name must be unique within an AWS account and region, and a transform job with this name already exists "
        f"({arn})",
    )


TRANSFORM_JOB = Kind(
    name="sagemaker.transform-job",
    service="sagemaker",
    resource_type="transform-job",
    noun="TransformJob",
    missing=lambda arn: ValidationError(f"Could not find requested job with name: {arn.rpartition('/')[2]}"),
    exists=_exists,
    list_member="TransformJobSummaries",
    summary=(
        "TransformJobName",
        "TransformJobArn",
        "CreationTime",
        "TransformEndTime",
        "LastModifiedTime",
        "TransformJobStatus",
        "FailureReason",
    ),
)

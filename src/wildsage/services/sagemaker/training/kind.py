"""The training job as a resource."""

from __future__ import annotations

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.kind import Kind

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def _exists(arn: str) -> ApiError:
    return ApiError(
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        f"exists ({arn})",
    )


TRAINING_JOB = Kind(
    name="sagemaker.training-job",
    service="sagemaker",
    resource_type="training-job",
    noun="TrainingJob",
    missing=lambda _: ValidationError("Requested resource not found."),
    exists=_exists,
    list_member="TrainingJobSummaries",
    summary=(
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    ),
)

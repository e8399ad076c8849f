"""The model as a resource: a document that endpoints read when they start."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.kit.kind import Kind

MODEL = Kind(
    name="sagemaker.model",
    service="sagemaker",
    resource_type="model",
    noun="Model",
    missing=lambda arn: ValidationError(f'Could not find model "{arn}".'),
    exists=lambda arn: ValidationError(f'Cannot create already existing model "{arn}".'),
    list_member="Models",
    summary=("ModelName", "ModelArn", "CreationTime"),
    phased=False,
    modified_field="",
)

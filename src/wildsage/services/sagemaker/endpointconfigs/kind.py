"""The endpoint configuration as a resource."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.kit.kind import Kind

ENDPOINT_CONFIG = Kind(
    name="sagemaker.endpoint-config",
    service="sagemaker",
    resource_type="endpoint-config",
    noun="EndpointConfig",
    missing=lambda arn: ValidationError(f'Could not find endpoint configuration "{arn}".'),
    exists=lambda arn: ValidationError(f'Cannot create already existing endpoint configuration "{arn}".'),
    list_member="EndpointConfigs",
    summary=("EndpointConfigName", "EndpointConfigArn", "CreationTime"),
    phased=False,
    modified_field="",
)

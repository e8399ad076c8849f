"""The endpoint as a resource."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.kit.kind import Kind

LOG_GROUPS = "/aws/sagemaker/Endpoints"
TAGGED = "endpoint tagged"
"""A topic of hints: the tags of an endpoint were changed, whose account, region and name follow."""

ENDPOINT = Kind(
    name="sagemaker.endpoint",
    service="sagemaker",
    resource_type="endpoint",
    noun="Endpoint",
    missing=lambda arn: ValidationError(f'Could not find endpoint "{arn}".'),
    exists=lambda arn: ValidationError(f'Cannot create already existing endpoint "{arn}".'),
    list_member="Endpoints",
    summary=("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    hidden=frozenset({"Tags", "DeploymentConfig"}),
    any_case=True,  # "The name is case-insensitive in CreateEndpoint" (API reference, CreateEndpoint)
)


def log_group(name: str) -> str:
    """Where the containers of one endpoint write."""
    return f"{LOG_GROUPS}/{name}"

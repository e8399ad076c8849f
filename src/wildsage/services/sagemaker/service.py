"""The sagemaker service: its operations, gathered."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.kit.operation import service
from wildsage.services.sagemaker.endpointconfigs import operations as endpoint_configs
from wildsage.services.sagemaker.endpoints import operations as endpoints
from wildsage.services.sagemaker.models import operations as models
from wildsage.services.sagemaker.processing import operations as processing
from wildsage.services.sagemaker.tags import operations as tags
from wildsage.services.sagemaker.training import operations as training
from wildsage.services.sagemaker.transform import operations as transform

SAGEMAKER = service(
    "sagemaker",
    training,
    processing,
    transform,
    models,
    endpoint_configs,
    endpoints,
    tags,
    reserved_tag=lambda key: ValidationError(f"System prefix 'aws:' reserved for AWS usage in tag key: {key}"),
)

"""The sagemaker-runtime service, as far as control answers it: the router has InvokeEndpoint itself."""

from __future__ import annotations

from wildsage.kit.operation import service
from wildsage.services.sagemaker.asynchronous import operations

SAGEMAKER_RUNTIME = service("sagemaker-runtime", operations)

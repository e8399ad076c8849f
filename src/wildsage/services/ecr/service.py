"""The ecr service: its operations, gathered."""

from __future__ import annotations

from functools import partial

from wildsage.core.errors import ApiError
from wildsage.kit import reservedtags
from wildsage.kit.operation import service
from wildsage.services.ecr import authorization, images, layers, lifecyclepolicies, policies, repositories, scans

ECR = service(
    "ecr",
    authorization,
    repositories,
    policies,
    lifecyclepolicies,
    images,
    layers,
    scans,
    reserved_tag=reservedtags.worded(partial(ApiError, "InvalidTagParameterException")),
)

"""Where a model of Mode MultiModel cannot be. Pure."""

from __future__ import annotations

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.core.routes import MULTI_MODEL
from wildsage.services.sagemaker.endpoints.fleet import Fleet


def check(fleet: Fleet) -> None:
    """Raises ValidationError for what no endpoint of AWS's is, Unsupported for what is not run yet."""
    for variant in fleet.variants:
        if variant.mode != MULTI_MODEL:
            continue
        name = f"variant {variant.name}, whose model has a container in Mode MultiModel"
        if variant.serverless is not None:
            raise ValidationError(f"Serverless inference does not support multi-model endpoints: {name}.")
        if fleet.asynchronous:
            raise ValidationError(f"Asynchronous inference does not support multi-model endpoints: {name}.")
        if any(each.shadow for each in fleet.variants):
            raise Unsupported(f"Shadow variants are not supported by Wildsage yet beside {name}.")

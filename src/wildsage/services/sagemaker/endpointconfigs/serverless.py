"""What CreateEndpointConfig checks of serverless variants. Pure.

Source: Developer Guide, "Deploy models with Amazon SageMaker Serverless Inference", on memory sizes, concurrency and
feature exclusions.
"""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.models.containers import containers_of
from wildsage.store.codec import Document

SIZES = tuple(range(1024, 6145, 1024))
"""MemorySizeInMB."""

_NOT_WITH = (
    "InstanceType",
    "InitialInstanceCount",
    "VolumeSizeInGB",
    "AcceleratorType",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "InferenceAmiVersion",
    "CoreDumpConfig",
)


def config_of(variant: Document) -> Document | None:
    """A variant's ServerlessConfig; None: it has instances."""
    found: Document | None = variant.get("ServerlessConfig")
    return found


def check(request: Document) -> None:
    """Raises ValidationError for what cannot be had of a serverless endpoint."""
    production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants") or []
    serverless = [variant for variant in (*production, *shadows) if config_of(variant) is not None]
    if not serverless:
        return
    if len(production) > 1:
        raise ValidationError("Serverless endpoints can have one production variant only.")
    if shadows:
        raise ValidationError("Shadow variants are not supported for serverless endpoints.")
    for member, title in (
        ("DataCaptureConfig", "Data capture"),
        ("VpcConfig", "VPC configuration"),
        ("EnableNetworkIsolation", "Network isolation"),
        ("AsyncInferenceConfig", "Asynchronous inference"),
        ("ExplainerConfig", "Explaining predictions"),
    ):
        if request.get(member):
            raise ValidationError(f"{title} is not supported for serverless endpoints. Leave out {member}.")
    (variant,) = serverless
    check_variant(variant)


def check_variant(variant: Document) -> None:
    """Raises ValidationError."""
    config, name = config_of(variant) or {}, variant["VariantName"]
    for member in _NOT_WITH:
        if variant.get(member):
            raise ValidationError(
                f"{member} and ServerlessConfig cannot both be specified for production variant {name}."
            )
    if not variant.get("ModelName"):
        raise ValidationError(f"ModelName is required for production variant {name}.")
    if config["MemorySizeInMB"] not in SIZES:
        raise ValidationError(
            f"MemorySizeInMB of production variant {name} must be one of {', '.join(map(str, SIZES))}, not "
            f"{config['MemorySizeInMB']}."
        )
    check_concurrency(name, config)


def check_concurrency(name: str, config: Document) -> None:
    """Raises ValidationError. "Should be less than or equal to MaxConcurrency"."""
    most, provisioned = config["MaxConcurrency"], config.get("ProvisionedConcurrency") or 0
    if provisioned > most:
        raise ValidationError(
            f"ProvisionedConcurrency of production variant {name} is {provisioned}; it must be less than or equal to "
            f"its MaxConcurrency, {most}."
        )


def check_model(variant: Document, model: Document) -> None:
    """Raises ValidationError for a model that serverless endpoints cannot have."""
    if config_of(variant) is None:
        return
    containers = containers_of(model)
    if len(containers) > 1:
        raise ValidationError("Inference pipelines and multi-container endpoints cannot be serverless.")
    if any(container.many for container in containers):
        raise ValidationError("Multi-model endpoints cannot be serverless.")
    for member, title in (("VpcConfig", "VPC configuration"), ("EnableNetworkIsolation", "Network isolation")):
        if model.get(member):
            raise ValidationError(
                f"{title} is not supported for serverless endpoints; model {model['ModelName']} has {member}."
            )

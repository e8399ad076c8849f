"""What CreateEndpointConfig checks beyond the model. Pure."""

from __future__ import annotations

import math

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.core.routes import DIRECT, MULTI_MODEL
from wildsage.services.sagemaker.endpointconfigs import serverless
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.services.sagemaker.models.containers import containers_of, mode_of
from wildsage.store.codec import Document

DEFAULT_WEIGHT = 1.0
_MOST_WEIGHT = 3.4028234e38  # VariantWeight is a float of 32 bits in the service model

_VARIANT: Tree = {
    "VariantName": None,
    "ModelName": None,
    "InitialInstanceCount": None,
    "InstanceType": None,
    "InitialVariantWeight": None,
    "VolumeSizeInGB": None,
    "ModelDataDownloadTimeoutInSeconds": None,
    "ContainerStartupHealthCheckTimeoutInSeconds": None,
    "RoutingConfig": {"RoutingStrategy": ("LEAST_OUTSTANDING_REQUESTS", "RANDOM")},
    "ManagedInstanceScaling": {"Status": None, "MinInstanceCount": None, "MaxInstanceCount": None},
    "InferenceAmiVersion": None,
    "ServerlessConfig": {"MemorySizeInMB": None, "MaxConcurrency": None, "ProvisionedConcurrency": None},
}

_ACCEPTED: Tree = {
    "EndpointConfigName": None,
    "DataCaptureConfig": ANY,
    "ProductionVariants": _VARIANT,
    "ShadowProductionVariants": _VARIANT,
    "AsyncInferenceConfig": ANY,
    "Tags": None,
    "ExecutionRoleArn": None,
    "VpcConfig": ANY,
    "EnableNetworkIsolation": None,
    "MetricsConfig": {"MetricPublishFrequencyInSeconds": (60,)},
}


def check(request: Document) -> None:
    """Raises ValidationError in AWS's words, Unsupported for what is not run yet."""
    serverless.check(request)
    refuse_beyond(request, _ACCEPTED)
    production, shadows = request["ProductionVariants"], request.get("ShadowProductionVariants") or []
    names = [variant["VariantName"] for variant in (*production, *shadows)]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"Production variant names must be unique, but found duplicate name: {name}")
    if shadows and (len(production) > 1 or len(shadows) > 1):
        raise ValidationError(
            "If you use ShadowProductionVariants, you can only specify one variant for ProductionVariants and one "
            "variant for ShadowProductionVariants."
        )
    for variant in (*production, *shadows):
        _check_variant(variant)
    if capture := request.get("DataCaptureConfig"):
        _check_capture(capture)
    if queued := request.get("AsyncInferenceConfig"):
        _check_asynchronous(queued, request)


def _check_asynchronous(config: Document, request: Document) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AsyncInferenceConfig.html"""
    without_instances = any(variant.get("ServerlessConfig") for variant in request["ProductionVariants"])
    if without_instances or request.get("ShadowProductionVariants") or request.get("DataCaptureConfig"):
        raise ValidationError(
            "One or more endpoint features are not supported using this configuration: an AsyncInferenceConfig goes "
            "with no ServerlessConfig, ShadowProductionVariants or DataCaptureConfig."
        )
    output = config["OutputConfig"]
    if not output.get("S3OutputPath"):
        raise ValidationError("S3OutputPath of AsyncInferenceConfig.OutputConfig is required: answers are kept there.")
    for member in ("S3OutputPath", "S3FailurePath"):
        if output.get(member):
            places.parse_any(output[member], f"{member} of AsyncInferenceConfig")


def check_model(request: Document, variant: Document, model: Document) -> None:
    """Raises ValidationError for a variant whose ``model`` cannot be used so, Unsupported for what is not run yet.

    Shadow tests exclude endpoints of several containers (Developer Guide, "Exclusions").
    """
    serverless.check_model(variant, model)
    if request.get("AsyncInferenceConfig") and mode_of(model) in (DIRECT, MULTI_MODEL):
        raise ValidationError(
            f"An AsyncInferenceConfig cannot be used with model {model['ModelName']} of variant "
            f"{variant['VariantName']}: asynchronous requests can name neither a container nor a model "
            f"(Mode {mode_of(model)})."
        )
    if request.get("ShadowProductionVariants") and len(containers_of(model)) > 1:
        raise ValidationError(
            f"ShadowProductionVariants cannot be used with a model of several containers, such as {model['ModelName']} "
            f"of variant {variant['VariantName']}."
        )
    if request.get("ShadowProductionVariants") and mode_of(model) == MULTI_MODEL:
        raise Unsupported(
            f"Shadow variants are not supported by Wildsage yet beside variant {variant['VariantName']}, whose model "
            "has a container in Mode MultiModel."
        )


def _check_capture(capture: Document) -> None:
    uri = capture["DestinationS3Uri"]
    try:
        places.parse(uri)
    except ValueError:
        raise ValidationError(
            f"DestinationS3Uri {uri} of DataCaptureConfig is not an S3 URI. Give it the form s3://bucket/prefix."
        ) from None


def _check_variant(variant: Document) -> None:
    name = variant["VariantName"]
    if serverless.config_of(variant) is not None:
        check_weight(name, variant.get("InitialVariantWeight", DEFAULT_WEIGHT))
        return
    for field in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if not variant.get(field):
            raise ValidationError(f"{field} is required for production variant {name}.")
    check_weight(name, variant.get("InitialVariantWeight", DEFAULT_WEIGHT))
    least, most = bounds(variant)
    if not least <= most:
        raise ValidationError(
            f"ManagedInstanceScaling of production variant {name}: MinInstanceCount {least} is greater than "
            f"MaxInstanceCount {most:g}."
        )
    if not least <= variant["InitialInstanceCount"] <= most:
        raise ValidationError(
            f"InitialInstanceCount of production variant {name} must lie between MinInstanceCount and MaxInstanceCount "
            "of its ManagedInstanceScaling."
        )


def check_weight(name: str, weight: float) -> None:
    """Raises ValidationError for what has no ratio to other weights: infinity, NaN, what would add up to infinity."""
    if not weight <= _MOST_WEIGHT:
        raise ValidationError(f"The weight of variant {name} must be a number up to {_MOST_WEIGHT:g}, not {weight:g}.")


def bounds(variant: Document) -> tuple[int, float]:
    """How few and how many instances ManagedInstanceScaling leaves a variant."""
    scaling = variant.get("ManagedInstanceScaling") or {}
    if scaling.get("Status") != "ENABLED":
        return 0, math.inf
    return scaling.get("MinInstanceCount", 0), scaling.get("MaxInstanceCount", math.inf)


def complete(request: Document) -> Document:
    """The document as Describe shows it: AWS fills in the weights, and that capture is on where nobody says."""
    filled: Document = {
        member: [{"InitialVariantWeight": DEFAULT_WEIGHT, **each} for each in request[member]]
        for member in ("ProductionVariants", "ShadowProductionVariants")
        if request.get(member)
    }
    if capture := request.get("DataCaptureConfig"):
        filled["DataCaptureConfig"] = {"EnableCapture": True, **capture}
    return {**request, **filled, "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation"))}

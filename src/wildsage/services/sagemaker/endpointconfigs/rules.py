"""What CreateEndpointConfig checks beyond the model. Pure."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.store.codec import Document

DEFAULT_WEIGHT = 1.0

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
    "InferenceAmiVersion": None,
}

_ACCEPTED: Tree = {
    "EndpointConfigName": None,
    "ProductionVariants": _VARIANT,
    "Tags": None,
    "ExecutionRoleArn": None,
    "VpcConfig": ANY,
    "EnableNetworkIsolation": None,
}


def check(request: Document) -> None:
    """Raises ValidationError in AWS's words, Unsupported for what is not run yet."""
    refuse_beyond(request, _ACCEPTED)
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"Production variant names must be unique, but found duplicate name: {name}")
    for variant in request["ProductionVariants"]:
        for field in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if not variant.get(field):
                raise ValidationError(f"{field} is required for production variant {variant['VariantName']}.")


def complete(request: Document) -> Document:
    """The document as Describe shows it: AWS fills in the weight."""
    variants = [{"InitialVariantWeight": DEFAULT_WEIGHT, **each} for each in request["ProductionVariants"]]
    return {
        **request,
        "ProductionVariants": variants,
        "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation")),
    }

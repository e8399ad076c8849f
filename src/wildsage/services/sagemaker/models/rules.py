"""What CreateModel checks beyond the model, and what a container definition means. Pure."""

from __future__ import annotations

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.store.codec import Document

_CONTAINER: Tree = {
    "ContainerHostname": None,
    "Image": None,
    "ImageConfig": {"RepositoryAccessMode": ("Platform",)},
    "Mode": ("SingleModel",),
    "ModelDataUrl": None,
    "ModelDataSource": {
        "S3DataSource": {
            "S3Uri": None,
            "S3DataType": ("S3Object", "S3Prefix"),
            "CompressionType": ("Gzip", "None"),
            "ETag": None,
            "ModelAccessConfig": {"AcceptEula": None},
        }
    },
    "Environment": None,
}

# VpcConfig is kept and described; the instances' logs say that it changes nothing here.
_ACCEPTED: Tree = {
    "ModelName": None,
    "PrimaryContainer": _CONTAINER,
    "Containers": _CONTAINER,
    "ExecutionRoleArn": None,
    "Tags": None,
    "VpcConfig": ANY,
    "EnableNetworkIsolation": None,
}


def check(request: Document) -> None:
    """Raises ValidationError in AWS's words, Unsupported for what is not run yet."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers") or []
    if not primary and not several:
        raise ValidationError("You must specify either PrimaryContainer or Containers.")
    if primary and several:
        raise ValidationError("You cannot specify both PrimaryContainer and Containers. Specify only one of them.")
    if len(several) > 1:
        raise Unsupported(
            f"Containers with {len(several)} entries is not supported by Wildsage yet; it runs 1 container a model."
        )
    refuse_beyond(request, _ACCEPTED)
    if not request.get("ExecutionRoleArn"):
        raise ValidationError("ExecutionRoleArn is required: the role with which model data is downloaded.")
    container = container_of(request)
    if not container.get("Image"):
        raise ValidationError("Image is required in the container definition.")
    if container.get("ModelDataUrl") and container.get("ModelDataSource"):
        raise ValidationError("You cannot specify both ModelDataUrl and ModelDataSource in one container definition.")
    uri, _ = model_data(request)
    if uri:
        _check_uri(uri)


def _check_uri(uri: str) -> None:
    try:
        location = places.parse(uri)
    except ValueError:
        location = None
    if location is None or not location.key:
        raise ValidationError(f'Invalid model data URL "{uri}". It must have the form s3://bucket/key.')


def container_of(model: Document) -> Document:
    """The one container."""
    found: Document = model.get("PrimaryContainer") or model["Containers"][0]
    return found


def model_data(model: Document) -> tuple[str, bool]:
    """Where the model lies and whether it is a tar.gz (else the files under a prefix); empty: none."""
    container = container_of(model)
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if source:
        return source["S3Uri"], source["CompressionType"] == "Gzip"
    return container.get("ModelDataUrl") or "", True

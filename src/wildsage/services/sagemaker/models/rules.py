"""What CreateModel checks beyond the model. Pure."""

from __future__ import annotations

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.services.sagemaker.models.containers import Container, containers_of
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
    for container in containers_of(request):
        _check_container(container)


def _check_container(container: Container) -> None:
    definition = container.definition
    if not definition.get("Image"):
        raise ValidationError("Image is required in the container definition.")
    if definition.get("ModelDataUrl") and definition.get("ModelDataSource"):
        raise ValidationError("You cannot specify both ModelDataUrl and ModelDataSource in one container definition.")
    uri, _ = container.data
    if uri:
        _check_uri(uri)


def _check_uri(uri: str) -> None:
    try:
        location = places.parse(uri)
    except ValueError:
        location = None
    if location is None or not location.key:
        raise ValidationError(f'Invalid model data URL "{uri}". It must have the form s3://bucket/key.')

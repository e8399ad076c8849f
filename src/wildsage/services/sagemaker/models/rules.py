"""What CreateModel checks beyond the model. Pure."""

from __future__ import annotations

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.core.routes import DIRECT, MULTI_MODEL, SERIAL
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.services.sagemaker.models.containers import Container, Shape, containers_of
from wildsage.store.codec import Document

_CONTAINER: Tree = {
    "ContainerHostname": None,
    "Image": None,
    "ImageConfig": {
        "RepositoryAccessMode": ("Platform", "Vpc"),
        "RepositoryAuthConfig": {"RepositoryCredentialsProviderArn": None},
    },
    "Mode": ("SingleModel", MULTI_MODEL),
    "MultiModelConfig": {"ModelCacheSetting": ("Enabled", "Disabled")},
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
    "InferenceExecutionConfig": {"Mode": (SERIAL, DIRECT)},
    "VpcConfig": ANY,
    "EnableNetworkIsolation": None,
}


def check(request: Document) -> None:
    """Raises ValidationError, Unsupported for what is not run yet."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers") or []
    if not primary and not several:
        raise ValidationError("You must specify either PrimaryContainer or Containers.")
    if primary and several:
        raise ValidationError("You cannot specify both PrimaryContainer and Containers. Specify only one of them.")
    refuse_beyond(request, _ACCEPTED)
    if not request.get("ExecutionRoleArn"):
        raise ValidationError("ExecutionRoleArn is required: the role with which model data is downloaded.")
    for container in containers_of(request):
        _check_container(container)
        _check_many(container)
    _check_hostnames(request)


def _check_hostnames(request: Document) -> None:
    """The rules of ContainerHostname (API reference, ContainerDefinition)."""
    several = request.get("Containers") or []
    names = [name for each in several if (name := each.get("ContainerHostname"))]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValidationError(f"ContainerHostname {twice} is given to more than one container. It must be unique.")
    if names and len(names) < len(several):
        raise ValidationError(
            "If you specify a value for the ContainerHostname for any ContainerDefinition that is part of an inference "
            "pipeline, you must specify a value for the ContainerHostname parameter of every ContainerDefinition in "
            "that pipeline."
        )
    if (request.get("InferenceExecutionConfig") or {}).get("Mode") == DIRECT and len(names) < 2:
        raise ValidationError(
            "InferenceExecutionConfig.Mode Direct needs two Containers or more that each have a ContainerHostname, "
            "which is what TargetContainerHostname names."
        )


def _check_many(container: Container) -> None:
    """What goes with Mode MultiModel, and what only goes with it (API reference, ContainerDefinition)."""
    definition = container.definition
    if not container.many:
        if definition.get("MultiModelConfig"):
            raise ValidationError("MultiModelConfig can only be specified for a container whose Mode is MultiModel.")
        return
    if not definition.get("ModelDataUrl"):
        raise ValidationError(
            "ModelDataUrl is required for a container whose Mode is MultiModel: the S3 prefix below which models are."
        )
    if container.hostname:
        raise Unsupported(
            "A container whose Mode is MultiModel is not supported by Wildsage yet in a model with several Containers."
        )


def _check_container(container: Container) -> None:
    definition = container.definition
    if not definition.get("Image"):
        raise ValidationError("Image is required in the container definition.")
    if definition.get("ModelDataUrl") and definition.get("ModelDataSource"):
        raise ValidationError("You cannot specify both ModelDataUrl and ModelDataSource in one container definition.")
    uri, shape = container.data
    if uri:
        _check_uri(uri, shape)
    source = (definition.get("ModelDataSource") or {}).get("S3DataSource") or {}
    if source.get("S3DataType") == "S3Prefix":
        _check_prefix(uri, shape)


def _check_uri(uri: str, shape: Shape) -> None:
    try:
        location = places.parse(uri)
    except ValueError:
        location = None
    if location is None or not (location.key or shape is Shape.FOLDER):
        raise ValidationError(f'Invalid model data URL "{uri}". It must have the form s3://bucket/key.')


def _check_prefix(uri: str, shape: Shape) -> None:
    """The rules of S3DataType S3Prefix (botocore shape S3ModelDataSource)."""
    if shape is Shape.ARCHIVE:
        raise ValidationError(
            "S3DataType S3Prefix cannot be combined with CompressionType Gzip: only one object can be an archive. "
            "Choose S3Object, or CompressionType None."
        )
    if not uri.endswith("/"):
        raise ValidationError(
            f'Invalid S3Uri "{uri}". A prefix (S3DataType S3Prefix) must end with a forward slash (/).'
        )

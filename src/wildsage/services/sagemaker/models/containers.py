"""The containers that a model names, read out of its document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from wildsage.core.routes import MULTI_MODEL, SERIAL
from wildsage.services.sagemaker.instance.places import as_s3
from wildsage.store.codec import Document

SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"


class Shape(StrEnum):
    """What a model's data is in S3 (botocore shape S3ModelDataSource)."""

    ARCHIVE = "one object, a tar.gz"
    FILE = "one object, the model itself"
    FOLDER = "all objects under a prefix"


class Data(NamedTuple):
    """``uri``: empty where a container has no model of its own."""

    uri: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Container:
    """One ContainerDefinition. ``number``: its place among those of its model, from 1.

    ``hostname``: what it is called in logs, metrics and errors where its model has several; empty where it is the only
    one ("This parameter is ignored for models that contain only a PrimaryContainer").
    """

    number: int
    definition: Document
    hostname: str = ""

    @property
    def image(self) -> str:
        return str(self.definition["Image"])

    @property
    def environment(self) -> Mapping[str, str]:
        """What the definition itself sets."""
        return self.definition.get("Environment") or {}

    @property
    def data(self) -> Data:
        """Where its model lies."""
        source = (self.definition.get("ModelDataSource") or {}).get("S3DataSource")
        if not source:
            url = as_s3(self.definition.get("ModelDataUrl") or "")
            return Data(url, Shape.FOLDER if self.many else Shape.ARCHIVE)
        if source["CompressionType"] == "Gzip":
            return Data(source["S3Uri"], Shape.ARCHIVE)
        return Data(source["S3Uri"], Shape.FOLDER if source["S3DataType"] == "S3Prefix" else Shape.FILE)

    @property
    def many(self) -> bool:
        """Whether it loads models as they are asked for: what ``data`` names is then the prefix where they lie."""
        return self.definition.get("Mode") == MULTI_MODEL

    @property
    def caches(self) -> bool:
        """Whether models stay loaded after use (API reference, MultiModelConfig)."""
        return (self.definition.get("MultiModelConfig") or {}).get("ModelCacheSetting") != "Disabled"

    @property
    def submit_directory(self) -> str:
        """The S3 URI of inference code that is not part of the model's archive; empty where there is none."""
        value = self.environment.get(SUBMIT_DIRECTORY, "")
        return value if value.startswith("s3://") else ""


def containers_of(model: Document) -> tuple[Container, ...]:
    """All of a model's, in the order in which they answer: the PrimaryContainer, or Containers."""
    primary = model.get("PrimaryContainer")
    found = [primary] if primary else model.get("Containers") or []
    if len(found) < 2:
        return tuple(Container(number, definition) for number, definition in enumerate(found, 1))
    return tuple(
        Container(number, definition, definition.get("ContainerHostname") or f"container-{number}")
        for number, definition in enumerate(found, 1)
    )


def mode_of(model: Document) -> str:
    """How a model's containers are used, SERIAL or DIRECT; of a model with one MULTI_MODEL, or empty."""
    containers = containers_of(model)
    if len(containers) < 2:
        return MULTI_MODEL if containers and containers[0].many else ""
    return str((model.get("InferenceExecutionConfig") or {}).get("Mode") or SERIAL)

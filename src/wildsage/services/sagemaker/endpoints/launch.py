"""From a variant to what a runtime launches. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.settings import Settings
from wildsage.runtimes.base import Inside, LaunchSpec
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.endpoints.fleet import Instance, Variant
from wildsage.services.sagemaker.instance import surroundings
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.models.rules import container_of
from wildsage.store.codec import Document

PORT = "8080"
CODE = f"{Inside.ML}/code"
_SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one instance of an endpoint lives."""

    endpoint_arn: str
    region: str
    instance: Instance
    variant: Variant
    directory: Path


def submit_directory(model: Document) -> str:
    """The S3 URI of inference code that is not part of the model's archive; empty where there is none."""
    value = (container_of(model).get("Environment") or {}).get(_SUBMIT_DIRECTORY, "")
    return value if value.startswith("s3://") else ""


def environment(place: Placement, software: Software, settings: Settings, credentials_uri: str) -> Mapping[str, str]:
    """What SageMaker sets, what the container definition says, and where its code lies here."""
    model = place.variant.model
    found = {
        **surroundings.variables(software, settings, place.region, credentials_uri),
        "SAGEMAKER_BIND_TO_PORT": PORT,
        "SAGEMAKER_SAFE_PORT_RANGE": "8081-8089",
        **(container_of(model).get("Environment") or {}),
    }
    if submit_directory(model):
        found[_SUBMIT_DIRECTORY] = CODE
    return found


def spec(place: Placement, software: Software, settings: Settings, credentials_uri: str) -> LaunchSpec:
    """The launch of one instance; its name is its folder's."""
    kind = lookup(place.variant.document["InstanceType"])
    isolated = bool(place.variant.model.get("EnableNetworkIsolation"))
    return LaunchSpec(
        name=place.directory.name,
        directory=place.directory,
        argv=software.command,
        environment=environment(place, software, settings, "" if isolated else credentials_uri),
        working_directory=Inside.ML,
        hostname="model-1",
        mounts=surroundings.mounts(settings),
        memory_bytes=kind.memory_bytes,
        cpus=float(kind.cpus),
        network="isolated" if isolated else "host",
        serves=True,
        labels={"arn": place.endpoint_arn},
    )

"""From a model's container to what a runtime launches: for instances of endpoints and of transform jobs alike. Pure.

Whoever has instances of a model makes a Placement for each of its containers (``containers.containers_of``) in each
instance, and gives that to ``launching.Launching``, which prepares, fills and launches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wildsage.core.errors import ClientFault
from wildsage.core.settings import Settings
from wildsage.runtimes.base import Inside, LaunchSpec, Mount
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.instance import archives, networks, surroundings
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.models.containers import SUBMIT_DIRECTORY, Container
from wildsage.store.codec import Document

PORT = "8080"
CODE = f"{Inside.ML}/code"
MANY_LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"
MODELS = "models"
"""The folder, beside a container's /opt/ml and read-only there, of models that come and go."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one container of a model runs, and what for.

    ``arn``: of the endpoint or job. ``instance_type``: whose processors and memory it has; empty where it has none,
    and ``memory_bytes`` are its limit. ``directory``: its own. ``variables``: set after those of the container's
    definition, and rather than these: a transform job's Environment. ``shares``: it has its
    framework in memory together with other containers, where that can be. ``called``: what it is called where it
    cannot be started. ``volume_bytes``: what its model may have, unpacked. ``pinned``: the image in the engine that it
    was deployed with; empty where there is none, or not yet.
    """

    arn: str
    region: str
    model: Document
    container: Container
    instance_type: str
    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    shares: bool = False
    called: str = "the model container"
    volume_bytes: int = archives.MOST_BYTES
    pinned: str = ""

    @property
    def isolated(self) -> bool:
        return bool(self.model.get("EnableNetworkIsolation"))

    @property
    def memory_limit(self) -> int:
        return lookup(self.instance_type).memory_bytes if self.instance_type else self.memory_bytes


def environment(place: Placement, software: Software, settings: Settings, credentials_uri: str) -> Mapping[str, str]:
    """What SageMaker sets, what the container definition says, and where its code lies here.

    The toolkit in an engine's image fetches its code by itself.
    """
    many = {"SAGEMAKER_MULTI_MODEL": "true", "WILDSAGE_MEMORY_BYTES": str(place.memory_limit)}
    found = {
        **surroundings.variables(software, settings, place.region, credentials_uri),
        "SAGEMAKER_BIND_TO_PORT": PORT,
        "SAGEMAKER_SAFE_PORT_RANGE": "8081-8089",
        **(many if place.container.many else {}),
        **place.container.environment,
        **place.variables,
    }
    if software.image:
        found = {name: value for name, value in found.items() if not name.startswith("WILDSAGE_")}
    if place.container.submit_directory and not software.image:
        found[SUBMIT_DIRECTORY] = CODE
    return found


def check(place: Placement, software: Software) -> None:
    """Raises ClientFault for an image that is not made for what the model asks of it (Developer Guide, "Build Your Own
    Container for SageMaker AI Multi-Model Endpoints")."""
    if place.container.many and software.image and software.labels.get(MANY_LABEL) != "true":
        raise ClientFault(
            f"The image {place.container.image} does not have the label {MANY_LABEL}=true. Add it to the Dockerfile of "
            "a container that can load models while it runs, or leave out Mode MultiModel."
        )


def notice(place: Placement, software: Software) -> str:
    """What the log should say of how it runs."""
    if place.shares and software.image:
        return (
            f"{software.notice} A serverless variant with such an image is one container that is always there: "
            "it has no cold starts and does not scale to zero; MaxConcurrency holds."
        )
    return software.notice


def preloaded(place: Placement, software: Software) -> tuple[str, ...]:
    """What the container shares; nothing if its own variables say how these modules are to be imported."""
    told = {
        name for name in place.container.environment if name.startswith(("PYTHON", "LD_", "OMP_", "MKL_", "OPENBLAS"))
    }
    return software.modules if place.shares and not told else ()


def spec(place: Placement, software: Software, settings: Settings, credentials_uri: str) -> LaunchSpec:
    """The launch of one container; its name is its folder's."""
    models = Mount(place.directory / MODELS, f"{Inside.ML}/{MODELS}", read_only=True)
    return LaunchSpec(
        name=place.directory.name,
        directory=place.directory,
        argv=software.command,
        environment=environment(place, software, settings, "" if place.isolated else credentials_uri),
        image=software.image,
        folders=("model",) if software.image else (),
        working_directory="" if software.image else Inside.ML,
        hostname=place.container.hostname or "model-1",
        mounts=(*surroundings.mounts(software, settings), *([models] if place.container.many else [])),
        memory_bytes=place.memory_limit,
        cpus=float(lookup(place.instance_type).cpus) if place.instance_type else 0.0,
        gpus=lookup(place.instance_type).gpus if place.instance_type else 0,
        network="isolated" if place.isolated else "host",
        loopback=networks.loopback_ports(surroundings.variables(software, settings, place.region, credentials_uri)),
        serves=True,
        preload=preloaded(place, software),
        labels={"arn": place.arn},
    )

"""From the create document to what a runtime launches. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.settings import Settings
from wildsage.runtimes.base import LaunchSpec, NetworkSpec
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.instance import networks, surroundings
from wildsage.services.sagemaker.instance.gauges import volume
from wildsage.services.sagemaker.instance.hosts import HOMOGENEOUS, Host
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.instance.instances import Logged
from wildsage.services.sagemaker.processing import inputs
from wildsage.services.sagemaker.processing.kind import LOG_GROUP
from wildsage.store.codec import Document

LOGGED = Logged(
    "process", LOG_GROUP, disk_gib=lambda document: volume(document["ProcessingResources"]["ClusterConfig"])
)


@dataclass(frozen=True, slots=True)
class Job:
    """A job's identity. ``document``: as created. ``directory``: the folder that its instances' folders lie in."""

    name: str
    arn: str
    region: str
    document: Document
    directory: Path

    @property
    def hosts(self) -> tuple[Host, ...]:
        """algo-1 … algo-N."""
        cluster = self.document["ProcessingResources"]["ClusterConfig"]
        count = cluster.get("SelectedInstanceCount") or cluster["InstanceCount"]
        kind = cluster.get("SelectedInstanceType") or cluster["InstanceType"]
        return tuple(Host(index, f"algo-{index + 1}", HOMOGENEOUS, kind) for index in range(count))

    def folder(self, host: Host) -> Path:
        """The folder of one instance."""
        return self.directory / host.name

    @property
    def isolated(self) -> bool:
        return bool((self.document.get("NetworkConfig") or {}).get("EnableNetworkIsolation"))


def environment(job: Job, software: Software, settings: Settings, credentials_uri: str) -> Mapping[str, str]:
    """What SageMaker sets, then what the job's Environment says."""
    return {
        **surroundings.variables(software, settings, job.region, credentials_uri),
        **(job.document.get("Environment") or {}),
    }


def spec(job: Job, host: Host, software: Software, settings: Settings, credentials_uri: str) -> LaunchSpec:
    """The launch of one of the job's instances."""
    instance = lookup(host.instance_type)
    app = job.document["AppSpecification"]
    return LaunchSpec(
        name=f"{job.directory.name}-{host.name}",
        directory=job.folder(host),
        argv=(*app["ContainerEntrypoint"], *(app.get("ContainerArguments") or ())),
        environment=environment(job, software, settings, "" if job.isolated else credentials_uri),
        hostname=host.name,
        mounts=(*surroundings.mounts(settings), *inputs.mounts(job.document, job.folder(host))),
        memory_bytes=instance.memory_bytes,
        cpus=float(instance.cpus),
        network="isolated" if job.isolated else "host",
        labels={"arn": job.arn},
    )


def network(job: Job, software: Software, settings: Settings, credentials_uri: str) -> NetworkSpec | None:
    """The network of a job with several instances; None for a job with one."""
    config = job.document.get("NetworkConfig") or {}
    return networks.of_job(
        job,
        surroundings.variables(software, settings, job.region, credentials_uri),
        outside=not job.isolated,
        encrypted=bool(config.get("EnableInterContainerTrafficEncryption")),
    )

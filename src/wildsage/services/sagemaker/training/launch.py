"""From the create document to what a runtime launches. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wildsage.core.settings import Settings
from wildsage.runtimes.base import Handle, Inside, LaunchSpec, NetworkSpec
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.instance import surroundings
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.training.cluster import Host, hosts
from wildsage.services.sagemaker.training.inputs import files
from wildsage.services.sagemaker.training.inputs.channels import channels
from wildsage.store.codec import Document

_ON_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})")


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
        """Its instances."""
        return hosts(self.document)

    def folder(self, host: Host) -> Path:
        """The folder of one instance."""
        return self.directory / host.name


def argv(document: Document, software: Software) -> tuple[str, ...]:
    """ContainerEntrypoint and ContainerArguments where given, else the toolkit's ``train``."""
    algorithm = document["AlgorithmSpecification"]
    entrypoint = algorithm.get("ContainerEntrypoint") or software.command
    return (*entrypoint, *(algorithm.get("ContainerArguments") or ()))


def environment(job: Job, software: Software, settings: Settings, credentials_uri: str) -> Mapping[str, str]:
    """What SageMaker sets, then what the job's Environment says, then what nobody may change."""
    return {
        **surroundings.variables(software, settings, job.region, credentials_uri),
        **(job.document.get("Environment") or {}),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
    }


def spec(job: Job, host: Host, software: Software, settings: Settings, credentials_uri: str) -> LaunchSpec:
    """The launch of one of the job's instances."""
    instance = lookup(host.instance_type)
    isolated = bool(job.document.get("EnableNetworkIsolation"))
    return LaunchSpec(
        name=f"{job.directory.name}-{host.name}",
        directory=job.folder(host),
        argv=argv(job.document, software),
        environment=environment(job, software, settings, "" if isolated else credentials_uri),
        working_directory=Inside.ML,
        hostname=host.name,
        mounts=(
            *surroundings.mounts(settings),
            *files.mounts(channels(job.document, host), job.folder(host), settings.file_systems),
        ),
        memory_bytes=instance.memory_bytes,
        cpus=float(instance.cpus),
        network="isolated" if isolated else "host",
        labels={"arn": job.arn},
    )


def joining(spec: LaunchSpec, network: Handle | None) -> LaunchSpec:
    """The same on a network; None leaves it as it is."""
    return spec if network is None else replace(spec, joins=network)


def network(job: Job, software: Software, settings: Settings, credentials_uri: str) -> NetworkSpec | None:
    """The network of a job with several instances; None for a job with one."""
    if len(job.hosts) == 1:
        return None
    ours = surroundings.variables(software, settings, job.region, credentials_uri)
    return NetworkSpec(
        name=f"{job.directory.name}-network",
        directory=job.directory / "network",
        hosts=tuple(host.name for host in job.hosts),
        outside=not job.document.get("EnableNetworkIsolation"),
        loopback=tuple(sorted(set(_loopback_ports(ours)))),
        encrypted=bool(job.document.get("EnableInterContainerTrafficEncryption")),
    )


def _loopback_ports(environment: Mapping[str, str]) -> Iterator[int]:
    """What our variables name of the machine's loopback: this server, and say a package index or a proxy beside it.

    In the job's own Environment, as on AWS, localhost is the container itself.
    """
    for value in environment.values():
        for found in _ON_LOOPBACK.findall(value):
            if 0 < int(found) < 1 << 16:
                yield int(found)

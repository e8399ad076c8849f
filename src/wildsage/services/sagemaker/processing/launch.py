"""From the create document to what a runtime launches. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.settings import Settings
from wildsage.runtimes.base import Inside, LaunchSpec, NetworkSpec
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.instance import networks, surroundings
from wildsage.services.sagemaker.instance.gauges import volume
from wildsage.services.sagemaker.instance.hosts import HOMOGENEOUS, Host
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.instance.instances import Logged
from wildsage.services.sagemaker.processing import inputs
from wildsage.services.sagemaker.processing.kind import LOG_GROUP
from wildsage.services.sagemaker.processing.rules import outputs_of, path_of
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


def argv(app: Document, software: Software) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``entrypoint`` and ``argv``: of an engine's image as ``docker run --entrypoint ENTRYPOINT IMAGE ARGUMENTS`` has
    them (Developer Guide, "How Amazon SageMaker Processing Runs Your Processing Container Image")."""
    entrypoint = tuple(app.get("ContainerEntrypoint") or ())
    arguments = tuple(app.get("ContainerArguments") or ())
    return (entrypoint, arguments) if software.image else ((), (*entrypoint, *arguments))


def mounted(document: Document) -> tuple[str, ...]:
    """The folders below /opt/ml that an engine's image sees: SageMaker's own, and those of inputs and outputs there."""
    paths = [each.path for each in (*inputs.placed(document), *inputs.piped(document))]
    paths += [path_of(each["S3Output"]["LocalPath"]) for each in outputs_of(document) if not each.get("AppManaged")]
    named = (path.removeprefix(f"{Inside.ML}/").partition("/")[0] for path in paths)
    return tuple(dict.fromkeys(("config", "output", "processing", *named)))


def spec(job: Job, host: Host, software: Software, settings: Settings, credentials_uri: str) -> LaunchSpec:
    """The launch of one of the job's instances."""
    instance = lookup(host.instance_type)
    entrypoint, arguments = argv(job.document["AppSpecification"], software)
    return LaunchSpec(
        name=f"{job.directory.name}-{host.name}",
        directory=job.folder(host),
        argv=arguments,
        environment=environment(job, software, settings, "" if job.isolated else credentials_uri),
        image=software.image,
        entrypoint=entrypoint,
        folders=mounted(job.document) if software.image else (),
        working_directory="" if software.image else "/",
        hostname=host.name,
        mounts=(*surroundings.mounts(software, settings), *inputs.mounts(job.document, job.folder(host))),
        memory_bytes=instance.memory_bytes,
        cpus=float(instance.cpus),
        gpus=instance.gpus,
        network="isolated" if job.isolated else "host",
        loopback=networks.loopback_ports(surroundings.variables(software, settings, job.region, credentials_uri)),
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
        any_image=bool(software.image),
    )

"""From the create document to what a runtime launches. Pure, but for a look at the drivers that SDK v3 sends."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.settings import Settings
from wildsage.runtimes.base import Inside, LaunchSpec, Mount, NetworkSpec
from wildsage.runtimes.instances import lookup
from wildsage.services.sagemaker.instance import networks, surroundings
from wildsage.services.sagemaker.instance.gauges import volume
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.images import Software
from wildsage.services.sagemaker.instance.inputs import files
from wildsage.services.sagemaker.instance.instances import Logged
from wildsage.services.sagemaker.instance.metrics import Metric
from wildsage.services.sagemaker.training import drivers, layout
from wildsage.services.sagemaker.training.cluster import hosts
from wildsage.services.sagemaker.training.inputs.channels import channels
from wildsage.services.sagemaker.training.kind import LOG_GROUP
from wildsage.store.codec import Document


def _metrics(document: Document) -> tuple[Metric, ...]:
    definitions = document["AlgorithmSpecification"].get("MetricDefinitions") or []
    return tuple(Metric(each["Name"], each["Regex"]) for each in definitions)


LOGGED = Logged(
    "train",
    LOG_GROUP,
    _metrics,
    "TrainingJobName",
    lambda document: volume(document["ResourceConfig"]),
    escaped=True,
)
CHECKPOINTS = f"{Inside.ML}/checkpoints"
CACHE = f"{Inside.ML}/sagemaker/warmpoolcache"
CACHE_VARIABLE = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"


@dataclass(frozen=True, slots=True)
class Job:
    """A job's identity. ``document``: as created. ``directory``: the folder that its instances' folders lie in.

    ``warm``: the folder of its warm pool, if it has one.
    """

    name: str
    arn: str
    region: str
    document: Document
    directory: Path
    warm: Path | None = None

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Its instances."""
        return hosts(self.document)

    def folder(self, host: Host) -> Path:
        """The folder of one instance."""
        return self.directory / host.name

    @property
    def checkpoint_path(self) -> str:
        """CheckpointConfig.LocalPath, or its default."""
        given = (self.document.get("CheckpointConfig") or {}).get("LocalPath") or CHECKPOINTS
        return posixpath.normpath(given)

    def checkpoints(self, host: Host) -> Path:
        """The folder that is at ``checkpoint_path`` of one instance."""
        return self.folder(host) / ("ml/checkpoints" if self.checkpoint_path == CHECKPOINTS else "checkpoints")

    def cache(self, host: Host) -> Path | None:
        """The folder of one instance that stays in its warm pool, at ``CACHE``."""
        return None if self.warm is None else self.warm / host.name


def argv(document: Document, software: Software) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``entrypoint`` and ``argv``: ContainerEntrypoint and ContainerArguments, else the toolkit's ``train``.

    An engine's image is run as ``docker run IMAGE train``; ContainerArguments are in the place of ``train``.
    """
    algorithm = document["AlgorithmSpecification"]
    entrypoint = tuple(algorithm.get("ContainerEntrypoint") or ())
    arguments = tuple(algorithm.get("ContainerArguments") or ())
    if software.image:
        return entrypoint, arguments or (() if entrypoint else software.command)
    return (), (*(entrypoint or software.command), *arguments)


def environment(job: Job, software: Software, settings: Settings, credentials_uri: str) -> Mapping[str, str]:
    """What SageMaker sets, then what the job's Environment says, then what nobody may change."""
    return {
        **surroundings.variables(software, settings, job.region, credentials_uri),
        **(job.document.get("Environment") or {}),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        **({} if job.warm is None else {CACHE_VARIABLE: CACHE}),
    }


def spec(job: Job, host: Host, software: Software, settings: Settings, credentials_uri: str) -> LaunchSpec:
    """The launch of one of the job's instances."""
    instance = lookup(host.instance_type)
    isolated = bool(job.document.get("EnableNetworkIsolation"))
    cache = job.cache(host)
    variables = environment(job, software, settings, "" if isolated else credentials_uri)
    mpi = not software.image and drivers.uses_mpi(job.folder(host) / files.FOLDER)
    entrypoint, arguments = argv(job.document, software)
    return LaunchSpec(
        name=f"{job.directory.name}-{host.name}",
        directory=job.folder(host),
        argv=arguments,
        environment=drivers.variables(variables) if mpi else variables,
        image=software.image,
        entrypoint=entrypoint,
        folders=layout.MOUNTED if software.image else (),
        working_directory="" if software.image else Inside.ML,
        hostname=host.name,
        mounts=(
            *surroundings.mounts(software, settings),
            *(drivers.mounts() if mpi else ()),
            *files.mounts(channels(job.document, host), job.folder(host), settings.file_systems),
            *_checkpoints(job, host, software),
            *(() if cache is None else (Mount(cache, CACHE),)),
        ),
        memory_bytes=instance.memory_bytes,
        cpus=float(instance.cpus),
        gpus=instance.gpus,
        network="isolated" if isolated else "host",
        loopback=networks.loopback_ports(surroundings.variables(software, settings, job.region, credentials_uri)),
        labels={"arn": job.arn},
    )


def _checkpoints(job: Job, host: Host, software: Software) -> tuple[Mount, ...]:
    """Where the folder of checkpoints is not in its place already; an engine's image has it if it was asked for."""
    there = not job.document.get("CheckpointConfig") if software.image else job.checkpoint_path == CHECKPOINTS
    return () if there else (Mount(job.checkpoints(host), job.checkpoint_path),)


def network(job: Job, software: Software, settings: Settings, credentials_uri: str) -> NetworkSpec | None:
    """The network of a job with several instances; None for a job with one."""
    return networks.of_job(
        job,
        surroundings.variables(software, settings, job.region, credentials_uri),
        outside=not job.document.get("EnableNetworkIsolation"),
        encrypted=bool(job.document.get("EnableInterContainerTrafficEncryption")),
        any_image=bool(software.image),
        folder=job.warm,
    )

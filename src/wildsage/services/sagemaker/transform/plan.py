"""From the create document to instances, their containers, and what each has to do. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.transforms import Item, Order
from wildsage.kit.logstreams import LogStream
from wildsage.services.sagemaker.instance.gauges import Measured, job_host
from wildsage.services.sagemaker.instance.hosts import HOMOGENEOUS, Host
from wildsage.services.sagemaker.instance.inputs.channel import Channel, Mode, Origin
from wildsage.services.sagemaker.instance.inputs.listing import Entry
from wildsage.services.sagemaker.instance.places import parse
from wildsage.services.sagemaker.models.containers import Container, containers_of
from wildsage.services.sagemaker.models.launch import Placement
from wildsage.services.sagemaker.transform.kind import LOG_GROUP, TRANSFORM_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


@dataclass(frozen=True, slots=True)
class Job:
    """A job's identity. ``directory``: the folder that those of its instances' containers lie in."""

    resource: Resource
    directory: Path

    @property
    def document(self) -> Document:
        return self.resource.spec

    @property
    def model(self) -> Document:
        """As it was when the job was created."""
        found: Document = self.resource.state["model"]
        return found

    @property
    def role_arn(self) -> str:
        found: str = self.model["ExecutionRoleArn"]
        return found

    @property
    def region(self) -> str:
        return self.resource.key.region

    @property
    def containers(self) -> tuple[Container, ...]:
        return containers_of(self.model)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Each has an instance id of its own, and always the same."""
        asked = self.document["TransformResources"]
        uid = self.resource.uid
        return tuple(
            Host(index, f"i-{_digest(uid, index)}", HOMOGENEOUS, asked["InstanceType"])
            for index in range(asked["InstanceCount"])
        )

    def folder(self, host: Host) -> Path:
        """Where the instance's order and progress lie, beside its containers' folders."""
        return self.directory / f"{host.name}-data"

    def place(self, host: Host, container: Container) -> Placement:
        """One container of an instance."""
        return Placement(
            arn=TRANSFORM_JOB.arn(self.resource.key),
            region=self.region,
            model=self.model,
            container=container,
            instance_type=host.instance_type,
            directory=self.directory / f"{host.name}-{container.number}",
            variables=variables(self.document),
        )

    def stream(self, host: Host, container: Container | None) -> LogStream:
        """The log stream of a container, or (None) of what carries its data.

        Names: Developer Guide, "Log Groups and Streams that Amazon SageMaker AI Logs".
        """
        key = self.resource.key
        name = f"{key.name}/{host.name}-{int(self.resource.created)}"
        further = "data-log" if container is None else container.hostname
        return LogStream(key.account, key.region, LOG_GROUP, f"{name}/{further}" if further else name)

    def measured(self, host: Host) -> Measured:
        """The series of what an instance uses."""
        key = self.resource.key
        return Measured(key.account, key.region, LOG_GROUP, job_host(key.name, host.name), host.instance_type)

    def channel(self) -> Channel:
        """The input, as jobs of other kinds have it."""
        source = self.document["TransformInput"]["DataSource"]["S3DataSource"]
        return Channel("input", Mode.FILE, Origin(source["S3DataType"]), source, {}, 0, 1)


def _digest(uid: str, index: int) -> str:
    return hashlib.sha256(f"{uid}/{index}".encode()).hexdigest()[:17]


def variables(document: Document) -> Mapping[str, str]:
    """What the containers of a transform job are told beyond those of an endpoint.

    Source: Developer Guide, "Use Your Own Inference Code with Batch Transform": the last three only if they are given.
    """
    found = {"SAGEMAKER_BATCH": "true"}
    if document.get("MaxPayloadInMB") is not None:
        found["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(document["MaxPayloadInMB"])
    if document.get("BatchStrategy"):
        found["SAGEMAKER_BATCH_STRATEGY"] = _STRATEGIES[document["BatchStrategy"]]
    if document.get("MaxConcurrentTransforms"):
        found["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(document["MaxConcurrentTransforms"])
    return {**found, **(document.get("Environment") or {})}


def items(document: Document, entries: Iterable[Entry]) -> list[Item]:
    """The objects, and where the output of each goes: its place below the input's prefix, and ``.out``.

    "All objects with the specified key name prefix" (API reference, TransformS3DataSource): also one that is named like
    a folder, unless it is empty, as consoles make them to stand for one.
    """
    output = parse(document["TransformOutput"]["S3OutputPath"])
    return [
        Item(each.place.bucket, each.place.key, output.under(f"{below(each.base, each.place.key)}.out").key)
        for each in entries
        if each.size or not each.is_folder
    ]


def below(prefix: str, key: str) -> str:
    """What of a key is its own: all behind the prefix's last folder, or behind the prefix if that is one itself."""
    rest = key.removeprefix(prefix)
    if rest and (rest.startswith("/") or prefix.endswith("/") or not prefix):
        return rest if prefix.endswith("/") else rest.removeprefix("/")
    return key[prefix.rfind("/") + 1 :]


def share(found: Sequence[Item], host: Host, count: int) -> Sequence[Item]:
    """What one of ``count`` instances gets."""
    return found[host.index :: count]


def order(document: Document, door: str, region: str, containers: Iterable[tuple[str, str]]) -> Order:
    """``containers``: name and address of each of the instance."""
    taken, given = document["TransformInput"], document["TransformOutput"]
    client, processing = document.get("ModelClientConfig") or {}, document["DataProcessing"]
    return Order(
        door=door,
        region=region,
        containers=tuple(containers),
        bucket=parse(given["S3OutputPath"]).bucket,
        kms_key=given.get("KmsKeyId") or "",
        content_type=taken.get("ContentType") or "",
        accept=given.get("Accept") or "",
        gzip=taken["CompressionType"] == "Gzip",
        split=taken["SplitType"],
        assemble=given["AssembleWith"],
        strategy=document.get("BatchStrategy"),
        payload_mib=document.get("MaxPayloadInMB"),
        concurrent=document.get("MaxConcurrentTransforms") or None,
        timeout=client.get("InvocationsTimeoutInSeconds", 600),
        retries=client.get("InvocationsMaxRetries", 3),
        input_filter=processing["InputFilter"],
        output_filter=processing["OutputFilter"],
        join=processing["JoinSource"] == "Input",
    )

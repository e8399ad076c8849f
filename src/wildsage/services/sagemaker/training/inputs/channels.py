"""The channels of a job: what CreateTrainingJob may ask for, and what each instance gets. Pure.

Source: API reference, Channel, S3DataSource and ShuffleConfig.
"""

from __future__ import annotations

import re

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.instance import places
from wildsage.services.sagemaker.instance.accepted import Tree
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.instance.inputs.channel import Channel, FileSystems, Mode, Origin
from wildsage.services.sagemaker.training.cluster import hosts, sharing
from wildsage.store.codec import Document

ACCEPTED: Tree = {
    "ChannelName": None,
    "DataSource": {
        "S3DataSource": {
            "S3DataType": ("S3Prefix", "ManifestFile", "AugmentedManifestFile"),
            "S3Uri": None,
            "S3DataDistributionType": None,
            "AttributeNames": None,
            "InstanceGroupNames": None,
        },
        "FileSystemDataSource": {
            "FileSystemId": None,
            "FileSystemAccessMode": None,
            "FileSystemType": None,
            "DirectoryPath": None,
        },
    },
    "ContentType": None,
    "CompressionType": None,
    "RecordWrapperType": None,
    "InputMode": None,
    "ShuffleConfig": {"Seed": None},
}


def mode_of(document: Document, channel: Document) -> Mode:
    """A file system is mounted, whatever the mode of the rest."""
    if "FileSystemDataSource" in channel["DataSource"]:
        return Mode.FILE
    return Mode(channel.get("InputMode") or document["AlgorithmSpecification"]["TrainingInputMode"])


def is_piped(job: Document) -> bool:
    """Whether a job has a channel in Pipe mode."""
    return any(mode_of(job, each) is Mode.PIPE for each in job.get("InputDataConfig") or ())


def channels(document: Document, host: Host) -> list[Channel]:
    """Those that ``host`` gets: a channel with InstanceGroupNames goes to these groups alone."""
    every = hosts(document)
    found = []
    for channel in document.get("InputDataConfig") or []:
        source = channel["DataSource"].get("S3DataSource")
        share = sharing(every, host, source.get("InstanceGroupNames") or ()) if source else (0, 1)
        if share is None:
            continue
        if not source or source.get("S3DataDistributionType") != "ShardedByS3Key":
            share = (0, 1)
        origin = Origin(source["S3DataType"]) if source else Origin.FILE_SYSTEM
        kept = source or channel["DataSource"]["FileSystemDataSource"]
        found.append(Channel(channel["ChannelName"], mode_of(document, channel), origin, kept, channel, *share))
    return found


def completed(channel: Document) -> Document:
    """A channel as Describe shows it: what AWS fills in is there."""
    source = channel["DataSource"].get("S3DataSource")
    if source is not None:
        source = {**source, "S3DataDistributionType": source.get("S3DataDistributionType") or "FullyReplicated"}
        channel = {**channel, "DataSource": {"S3DataSource": source}}
    return {"CompressionType": "None", "RecordWrapperType": "None", **channel}


def check(request: Document, file_systems: FileSystems) -> None:
    """Raises ValidationError for channels that cannot be, in AWS's words where they are known."""
    every = request.get("InputDataConfig") or []
    names = [channel["ChannelName"] for channel in every]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"Input channel names must be unique, but found duplicate channel name: {name}")
        if name in (".", ".."):
            raise ValidationError(f"{name} cannot be the name of an input channel: it would be a folder's name.")
    groups = {each["InstanceGroupName"] for each in (request.get("ResourceConfig") or {}).get("InstanceGroups") or ()}
    for channel in every:
        _check_source(channel, file_systems)
        if "S3DataSource" in channel["DataSource"]:
            _check_s3(channel, mode_of(request, channel), groups)
    piped = [each["ChannelName"] for each in every if mode_of(request, each) is Mode.PIPE]
    for name in piped:
        for other in names:
            if re.fullmatch(rf"{re.escape(name)}_\d+", other):
                raise ValidationError(f"Channel {other} has the name of a pipe of channel {name}, which has Pipe mode.")


def _check_source(channel: Document, file_systems: FileSystems) -> None:
    name, source = channel["ChannelName"], channel["DataSource"]
    if ("S3DataSource" in source) == ("FileSystemDataSource" in source):
        raise ValidationError(
            f"DataSource of channel {name} must have exactly one of S3DataSource and FileSystemDataSource."
        )
    system = source.get("FileSystemDataSource")
    if system is None:
        return
    if system["FileSystemId"] not in file_systems:
        known = f"It knows {', '.join(file_systems)}." if file_systems else "It knows none."
        raise ValidationError(
            f"The file system {system['FileSystemId']} of channel {name} is not known to this server. {known} Start it "
            f"with WILDSAGE_FILE_SYSTEMS={system['FileSystemId']}=/FOLDER, where the file system is mounted, or use an "
            "S3DataSource."
        )
    for field in ("CompressionType", "RecordWrapperType"):
        if channel.get(field) not in (None, "None"):
            raise ValidationError(f"{field} of channel {name} cannot be {channel[field]}: its source is a file system.")


def _check_s3(channel: Document, mode: Mode, groups: set[str]) -> None:
    name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
    try:
        place = places.parse(source["S3Uri"])
    except ValueError:
        raise ValidationError(
            f"The S3Uri that you specified is not a valid S3 URI: {source['S3Uri']}. It must have the form "
            "s3://bucket/prefix."
        ) from None
    origin = Origin(source["S3DataType"])
    if origin is not Origin.PREFIX and not place.key:
        raise ValidationError(f"S3Uri of channel {name} must name an object, because its S3DataType is {origin}.")
    if origin is Origin.AUGMENTED and mode is not Mode.PIPE:
        raise ValidationError(
            f"S3DataType AugmentedManifestFile can only be used if the Channel's input mode is Pipe; channel {name} "
            f"has {mode}."
        )
    named = bool(source.get("AttributeNames"))
    if (origin is Origin.AUGMENTED) is not named:
        raise ValidationError(
            f"Channel {name} has S3DataType {origin} and {'' if named else 'no '}AttributeNames; an "
            "AugmentedManifestFile needs them, and no other type takes them."
        )
    for field, value in (("CompressionType", "Gzip"), ("RecordWrapperType", "RecordIO")):
        if channel.get(field) == value and mode is not Mode.PIPE:
            raise ValidationError(
                f"{field} {value} can only be used if the Channel's input mode is Pipe; channel {name} has {mode}. "
                f"Leave {field} unset or set it to None."
            )
    for group in source.get("InstanceGroupNames") or ():
        if group not in groups:
            raise ValidationError(
                f"InstanceGroupNames of channel {name} has {group}, which is no instance group of ResourceConfig."
            )

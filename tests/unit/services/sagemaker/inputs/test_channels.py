"""What CreateTrainingJob may ask of channels, and which instance gets what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.core.errors import ClientFault, SettingsError, ValidationError
from wildsage.core.settings import file_systems
from wildsage.runtimes.base import Mount
from wildsage.services.sagemaker.instance.inputs import files
from wildsage.services.sagemaker.instance.inputs.channel import Mode, Origin
from wildsage.services.sagemaker.instance.inputs.feed import share
from wildsage.services.sagemaker.training.cluster import hosts
from wildsage.services.sagemaker.training.inputs.channels import channels, check, completed

FS = "fs-0123456789abcdef0"


def channel(name: str = "train", source: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    found = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/", **(source or {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": found}, **changes}


def mounted(name: str = "train", system: str = FS, path: str = "/", mode: str = "ro", **changes: Any) -> dict[str, Any]:
    source = {
        "FileSystemId": system,
        "FileSystemType": "EFS",
        "FileSystemAccessMode": mode,
        "DirectoryPath": path,
    }
    return {"ChannelName": name, "DataSource": {"FileSystemDataSource": source}, **changes}


def job(*every: dict[str, Any], mode: str = "File", **resources: Any) -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {"TrainingInputMode": mode},
        "InputDataConfig": list(every),
        "ResourceConfig": resources or {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


AUGMENTED = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a"], "S3Uri": "s3://bucket/m"}


@pytest.mark.parametrize(
    "request_",
    [
        job(),
        job(channel(), channel("test", {"S3DataType": "ManifestFile", "S3Uri": "s3://b/m"}, InputMode="FastFile")),
        job(channel(CompressionType="Gzip", RecordWrapperType="RecordIO", ShuffleConfig={"Seed": 0}), mode="Pipe"),
        job(channel(source=AUGMENTED, InputMode="Pipe"), channel("other", CompressionType="None")),
        job(mounted(), mode="Pipe"),
        job(channel("train_x"), channel("train"), mode="Pipe"),
    ],
)
def test_channels_that_are_taken(request_: dict[str, Any]) -> None:
    check(request_, {FS: Path("/data")})


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (job(channel(), channel()), "must be unique, but found duplicate channel name: train"),
        (job(channel("..")), "cannot be the name of an input channel"),
        (job({"ChannelName": "a", "DataSource": {}}), "exactly one of S3DataSource and FileSystemDataSource"),
        (
            job({"ChannelName": "a", "DataSource": {**channel()["DataSource"], **mounted()["DataSource"]}}),
            "exactly one of S3DataSource and FileSystemDataSource",
        ),
        (job(channel(source={"S3Uri": "https://bucket/x"})), "must have the form s3://bucket/prefix"),
        (job(channel(source={"S3DataType": "ManifestFile", "S3Uri": "s3://bucket"})), "must name an object"),
        (
            job(channel(source=AUGMENTED)),
            "can only be used if the Channel's input mode is Pipe; channel train has File",
        ),
        (job(channel(source=AUGMENTED), mode="FastFile"), "channel train has FastFile"),
        (job(channel(source={**AUGMENTED, "AttributeNames": []}), mode="Pipe"), "and no AttributeNames"),
        (job(channel(source={"AttributeNames": ["a"]})), "S3Prefix and AttributeNames"),
        (job(channel(CompressionType="Gzip")), "CompressionType Gzip can only be used if .* is Pipe"),
        (job(channel(RecordWrapperType="RecordIO"), mode="FastFile"), "RecordWrapperType RecordIO can only be used"),
        (job(channel(source={"InstanceGroupNames": ["gpus"]})), "has gpus, which is no instance group"),
        (job(mounted(system="fs-11111111")), f"fs-11111111 of channel train is not known .* It knows {FS}"),
        (job(mounted(RecordWrapperType="RecordIO")), "its source is a file system"),
        (job(channel("a"), channel("a_0"), mode="Pipe"), "Channel a_0 has the name of a pipe of channel a"),
    ],
)
def test_channels_that_are_refused(request_: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check(request_, {FS: Path("/data")})


def test_an_instance_gets_the_channels_of_its_group_and_its_share_of_them() -> None:
    groups = [
        {"InstanceGroupName": "cpus", "InstanceType": "ml.c5.large", "InstanceCount": 2},
        {"InstanceGroupName": "gpus", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    ]
    sharded = {"S3DataDistributionType": "ShardedByS3Key"}
    document = job(
        channel("all"),
        channel("each", sharded, InputMode="Pipe", ShuffleConfig={"Seed": 7}),
        channel("cpus", {"InstanceGroupNames": ["cpus"], **sharded}),
        channel("gpus", {"InstanceGroupNames": ["gpus"], **sharded}),
        mounted("disk"),
        InstanceGroups=groups,
    )
    check(document, {FS: Path("/data")})
    found = [[(each.name, each.index, each.count) for each in channels(document, host)] for host in hosts(document)]
    assert found == [
        [("all", 0, 1), ("each", 0, 3), ("cpus", 0, 2), ("disk", 0, 1)],
        [("all", 0, 1), ("each", 1, 3), ("cpus", 1, 2), ("disk", 0, 1)],
        [("all", 0, 1), ("each", 2, 3), ("gpus", 0, 1), ("disk", 0, 1)],
    ]
    each = channels(document, hosts(document)[0])[1]
    assert (each.mode, each.origin, each.seed, each.uri) == (Mode.PIPE, Origin.PREFIX, 7, "s3://bucket/data/")


KEYS = st.lists(st.text(max_size=3), unique=True, max_size=40)


@given(KEYS, st.integers(1, 6), st.one_of(st.none(), st.integers(0, 1 << 62)), st.integers(0, 3))
def test_shares_are_all_of_it_and_differ_by_one_at_most(keys: list[str], count: int, seed: int | None, at: int) -> None:
    shares = [share(keys, seed, at, index, count) for index in range(count)]
    assert sorted(key for each in shares for key in each) == sorted(keys)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shares == [share(keys, seed, at, index, count) for index in range(count)]


def test_without_a_seed_the_order_stays_and_with_one_each_epoch_has_its_own() -> None:
    keys = list(range(50))
    assert share(keys, None, 3, 0, 1) == keys
    orders = [share(keys, 1, epoch, 0, 1) for epoch in range(3)] + [share(keys, 2, 0, 0, 1), keys]
    assert len({tuple(order) for order in orders}) == 5
    firsts = [set(share(keys, 1, epoch, 0, 2)) for epoch in range(2)]
    assert firsts[0] != firsts[1]


def test_the_order_of_a_seed_is_for_ever() -> None:
    """A job that was created again, on another version of Python too, sees its data in the same order."""
    assert share(list("abcdefgh"), 42, 0, 0, 1) == ["e", "c", "b", "d", "a", "g", "f", "h"]


def test_what_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    document = job(
        channel("file"),
        channel("fast", InputMode="FastFile"),
        channel("pipe", InputMode="Pipe"),
        mounted("disk", path="/deep", mode="rw"),
    )
    found = files.mounts(channels(document, hosts(document)[0]), Path("/i"), {FS: tmp_path / "disk"})
    assert found == (
        Mount(Path("/i/channels/file"), "/opt/ml/input/data/file", layered=True),
        Mount(Path("/i/channels/fast"), "/opt/ml/input/data/fast", read_only=True),
        Mount(tmp_path / "disk" / "deep", "/opt/ml/input/data/disk"),
    )


@pytest.mark.parametrize("path", ["/../secret", "/missing", "/out", "/file"])
def test_a_directory_that_is_none_of_its_file_system(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "disk" / "file").touch()
    every = channels(job(mounted(path=path)), hosts(job())[0])
    with pytest.raises(ClientFault, match=re.escape(f"Unable to mount file system: {FS} directory path: {path}")):
        files.mounts(every, tmp_path, {FS: tmp_path / "disk"})
    with pytest.raises(ClientFault, match="no longer known to this server"):
        files.mounts(every, tmp_path, {})


def test_describe_shows_what_was_left_out() -> None:
    asked = channel(ContentType="text/csv")
    source = {**asked["DataSource"]["S3DataSource"], "S3DataDistributionType": "FullyReplicated"}
    usual = {"CompressionType": "None", "RecordWrapperType": "None"}
    assert completed(asked) == {**usual, **asked, "DataSource": {"S3DataSource": source}}
    given = channel(source={"S3DataDistributionType": "ShardedByS3Key"}, CompressionType="Gzip")
    assert completed(given) == {"RecordWrapperType": "None", **given}
    assert completed(mounted()) == {**usual, **mounted()}


def test_file_systems_are_a_setting() -> None:
    assert file_systems({}) == {}
    assert file_systems({"WILDSAGE_FILE_SYSTEMS": f"{FS}=/mnt/a, fs-2=/b"}) == {FS: Path("/mnt/a"), "fs-2": Path("/b")}
    for text in (FS, f"{FS}=relative", "efs=/x"):
        with pytest.raises(SettingsError, match="must have the form fs-ID=/FOLDER"):
            file_systems({"WILDSAGE_FILE_SYSTEMS": text})

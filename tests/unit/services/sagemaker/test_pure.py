"""The pure parts: paths, archives, layouts, statuses."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from wildsage.core import trees
from wildsage.core.errors import ClientFault, Unsupported
from wildsage.runtimes.base import Inspection, Phase
from wildsage.services.sagemaker.instance import archives, faults, places, reasons
from wildsage.services.sagemaker.instance.accepted import ANY, refuse_beyond
from wildsage.services.sagemaker.training import layout, rules
from wildsage.services.sagemaker.training.cluster import hosts, sharing


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("data/train", "data/train/a.csv", "a.csv"),
        ("data/train/", "data/train/deep/a.csv", "deep/a.csv"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("data/tr", "data/train/a.csv", "ain/a.csv"),
        ("", "a.csv", "a.csv"),
        ("data/train/", "data/train/sub/", "sub/"),
    ],
)
def test_objects_lie_relative_to_their_prefix(prefix: str, key: str, path: str) -> None:
    assert places.relative(prefix, key) == path


@pytest.mark.parametrize("key", ["p/../../etc/passwd", "p/a//b", "p/./a"])
def test_keys_that_lead_elsewhere_are_refused(key: str) -> None:
    with pytest.raises(ClientFault, match="cannot be a path"):
        places.relative("p/", key)


@pytest.mark.parametrize("uri", ["bucket/key", "http://b/k", "s3://", "s3:///key"])
def test_what_is_not_an_s3_uri(uri: str) -> None:
    with pytest.raises(ValueError, match="not an S3 URI"):
        places.parse(uri)


def test_symbolic_links_do_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "output").symlink_to("/etc")
    with pytest.raises(ClientFault, match="symbolic link"):
        places.inside(tmp_path, "output/failure")


def never() -> bool:
    return False


URI = "s3://bucket/some.tar.gz"


def test_an_archive_depends_only_on_its_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "b").write_text("b")
    (source / "a").write_text("a")
    (source / "link").symlink_to("a")
    archives.pack([source], tmp_path / "one.tar.gz", never)
    (source / "a").touch()
    archives.pack([source], tmp_path / "two.tar.gz", never)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    archives.unpack(tmp_path / "one.tar.gz", tmp_path / "target", URI, archives.MOST_BYTES, never)
    assert sorted(path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*")) == [
        "a",
        "link",
        "sub",
        "sub/b",
    ]


@pytest.mark.parametrize("name", ["../out", "/etc/out"])
def test_names_in_an_archive_cannot_lead_out(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "bad.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    if name.startswith("/"):
        archives.unpack(archive, tmp_path / "target", URI, archives.MOST_BYTES, never)
        assert (tmp_path / "target" / "etc" / "out").exists()
    else:
        with pytest.raises(ClientFault, match="cannot be unpacked"):
            archives.unpack(archive, tmp_path / "target", URI, archives.MOST_BYTES, never)


def test_what_is_no_archive_fails_in_words(tmp_path: Path) -> None:
    (tmp_path / "not.tar.gz").write_bytes(b"hello")
    with pytest.raises(ClientFault, match=r"some.tar.gz cannot be unpacked: the object \(5 bytes\) is not a tar.gz"):
        archives.unpack(tmp_path / "not.tar.gz", tmp_path / "target", URI, archives.MOST_BYTES, never)
    (tmp_path / "empty.tar.gz").write_bytes(b"")
    with pytest.raises(ClientFault, match="the object is empty"):
        archives.unpack(tmp_path / "empty.tar.gz", tmp_path / "target", URI, archives.MOST_BYTES, never)


def test_a_damaged_archive_fails_in_words_wherever_the_damage_is(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("noise")
        noise = random.Random(1).randbytes(100_000)
        info.size = len(noise)
        tar.addfile(info, io.BytesIO(noise))
    whole = packed.getvalue()
    for at in (20, 5_000, len(whole) // 2, len(whole) - 6):
        (tmp_path / "bad.tar.gz").write_bytes(whole[:at] + b"\xff" * 500 + whole[at + 500 :])
        with pytest.raises(ClientFault, match="is damaged or incomplete"):
            archives.unpack(tmp_path / "bad.tar.gz", tmp_path / "target", URI, archives.MOST_BYTES, never)
    for size in (3, 11, 5_000, len(whole) - 9):
        (tmp_path / "bad.tar.gz").write_bytes(whole[:size])
        with pytest.raises(ClientFault, match="is damaged or incomplete"):
            archives.unpack(tmp_path / "bad.tar.gz", tmp_path / "target", URI, archives.MOST_BYTES, never)


def test_a_model_of_many_folders_is_packed(tmp_path: Path) -> None:
    deepest = str(tmp_path / "source")
    Path(deepest).mkdir()
    for _ in range(1200):
        deepest += "/d"
        Path(deepest).mkdir()
    archives.pack([tmp_path / "source"], tmp_path / "deep.tar.gz", never)
    with tarfile.open(tmp_path / "deep.tar.gz") as tar:
        assert len(tar.getnames()) == 1200
    trees.remove(tmp_path / "source")


def test_names_that_the_disk_refuses_are_the_callers(tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    with pytest.raises(OSError) as caught:
        (tmp_path / "ml" / ("n" * 300)).write_text("x")
    fault = faults.of_disk(caught.value, "downloading the input data")
    assert isinstance(fault, ClientFault)
    assert str(fault).startswith("ClientError: While downloading the input data: a name is longer than 255 bytes")
    assert str(tmp_path) not in str(fault)


def test_accepted_fields() -> None:
    tree = {"A": None, "B": {"C": ("x",)}, "D": ANY, "E": {"F": None}}
    refuse_beyond({"A": 1, "B": {"C": "x"}, "D": {"deep": 1}, "E": [{"F": 1}, {"F": 2}], "G": False, "H": []}, tree)
    for document, words in (
        ({"B": {"C": "y"}}, "B.C=y is not supported"),
        ({"E": [{"F": 1}, {"Z": 1}]}, r"E\[1\].Z is not supported"),
        ({"G": True}, "G is not supported"),
    ):
        with pytest.raises(Unsupported, match=words):
            refuse_beyond(document, tree)


def test_the_configuration_files_have_aws_layout() -> None:
    job = {
        "HyperParameters": {"epochs": "3", "sagemaker_submit_directory": '"s3://b/source.tar.gz"'},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/d"}},
            }
        ],
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    assert json.loads(layout.hyperparameters(job)) == job["HyperParameters"]
    assert json.loads(layout.input_data_config(job, hosts(job)[0])) == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert json.loads(layout.resource_config(job, hosts(job)[0]))["hosts"] == ["algo-1"]
    assert layout.submit_directory(job) == "s3://b/source.tar.gz"
    assert layout.submit_directory({"HyperParameters": {"sagemaker_submit_directory": '"/opt/ml/code"'}}) == ""


def test_instances_are_numbered_over_all_groups() -> None:
    job = {
        "ResourceConfig": {
            "InstanceGroups": [
                {"InstanceGroupName": "cpus", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
                {"InstanceGroupName": "gpus", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
            ]
        }
    }
    every = hosts(job)
    assert [(host.index, host.name, host.group, host.instance_type) for host in every] == [
        (0, "algo-1", "cpus", "ml.c5.xlarge"),
        (1, "algo-2", "cpus", "ml.c5.xlarge"),
        (2, "algo-3", "gpus", "ml.g5.xlarge"),
    ]
    assert sharing(every, every[2], ()) == (2, 3)
    assert sharing(every, every[2], ("gpus",)) == (0, 1)
    assert sharing(every, every[2], ("cpus",)) is None
    config = json.loads(layout.resource_config(job, every[2]))
    assert (config["current_host"], config["current_group_name"]) == ("algo-3", "gpus")
    assert config["current_instance_type"] == "ml.g5.xlarge"
    assert config["instance_groups"] == [
        {"instance_group_name": "cpus", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1", "algo-2"]},
        {"instance_group_name": "gpus", "instance_type": "ml.g5.xlarge", "hosts": ["algo-3"]},
    ]


def test_transitions_close_each_other() -> None:
    status = rules.enter({}, "Starting", 1.0)
    status = rules.enter(status, "Starting", 2.0)
    status = rules.enter(status, "Downloading", 3.0)
    status = rules.enter(status, "Completed", 8.0)
    found = [(each["Status"], each["StartTime"], each["EndTime"]) for each in status["SecondaryStatusTransitions"]]
    assert found == [("Starting", 1.0, 3.0), ("Downloading", 3.0, 8.0), ("Completed", 8.0, 8.0)]
    assert status["SecondaryStatus"] == "Completed"


def test_failure_reasons_fit_and_keep_their_end() -> None:
    found = Inspection(Phase.EXITED, exit_code=3)
    reason = reasons.of_container(found, "x" * 5000, [], "ml.m5.large", "training")
    assert len(reason) <= 1024
    assert reason.startswith("AlgorithmError: xxx")
    assert reason.endswith(", exit code: 3")
    assert reasons.of_container(found, "", ["a", "b"], "", "training") == "AlgorithmError: a\nb, exit code: 3"
    silent = ["[wildsage] The image mine runs in the container engine (sha256:1)."]
    assert "the container wrote no output, exit code: 3" in reasons.of_container(found, "", silent, "", "training")

"""What CreateProcessingJob lets pass, what it fills in, and where inputs lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wildsage.core.errors import Unsupported, ValidationError
from wildsage.services.sagemaker.instance.hosts import Host
from wildsage.services.sagemaker.processing import inputs, rules
from wildsage.services.sagemaker.processing.launch import Job

ROOT = "/opt/ml/processing"


def given(name: str, path: str | None, **changes: Any) -> dict[str, Any]:
    source = {"S3Uri": f"s3://bucket/{name}", "S3DataType": "S3Prefix", **changes}
    return {"InputName": name, "S3Input": source | ({} if path is None else {"LocalPath": path})}


def left(name: str, path: str, **changes: Any) -> dict[str, Any]:
    target = {"S3Uri": f"s3://bucket/{name}", "LocalPath": path, "S3UploadMode": "EndOfJob", **changes}
    return {"OutputName": name, "S3Output": target}


def request(
    *, sources: Any = (), targets: Any = (), cluster: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "ProcessingJobName": "job",
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1} if cluster is None else cluster
        },
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["python3"]},
        "RoleArn": "arn:aws:iam::000000000000:role/role",
        "ProcessingInputs": list(sources),
        "ProcessingOutputConfig": {"Outputs": list(targets)},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": [given("a", None)]}, "LocalPath of input a is required"),
        ({"sources": [given("a", "/opt/ml/input")]}, "must be an absolute path that begins with /opt/ml/processing/"),
        ({"sources": [given("a", f"{ROOT}/../model")]}, "must be an absolute path"),
        ({"sources": [given("a", f"{ROOT}ly")]}, "must be an absolute path"),
        ({"sources": [given("a", f"{ROOT}/x"), given("b", f"{ROOT}/x/")]}, "LocalPath of inputs must be unique"),
        ({"sources": [given("a", f"{ROOT}/x"), given("a", f"{ROOT}/y")]}, "Input names must be unique"),
        ({"sources": [{"InputName": "a"}]}, "exactly one of S3Input and DatasetDefinition"),
        ({"sources": [given("a", ROOT, S3Uri="https://bucket/a")]}, "not a valid S3 URI"),
        ({"sources": [given("a", ROOT, S3CompressionType="Gzip")]}, "only be used if S3InputMode is Pipe"),
        ({"sources": [given("a", ROOT, S3DataType="ManifestFile", S3Uri="s3://b")]}, "must name an object"),
        ({"sources": [given("a", f"{ROOT}/x", S3InputMode="Pipe"), given("b", f"{ROOT}/x_1")]}, "name of a pipe"),
        ({"targets": [left("a", "/tmp/x")]}, "LocalPath of output a"),
        ({"targets": [left("a", "/opt/ml")]}, "LocalPath of output a"),
        ({"targets": [left("a", "/opt/ml/config/x")]}, "LocalPath of output a"),
        ({"targets": [left("a", f"{ROOT}/x"), left("b", f"{ROOT}/x")]}, "LocalPath of outputs must be unique"),
        ({"targets": [{"OutputName": "a"}]}, "exactly one of S3Output and FeatureStoreOutput"),
        ({"cluster": {"VolumeSizeInGB": 1}}, "exactly one of InstanceType and InstancePreferences"),
        (
            {"cluster": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "SelectedInstanceCount": 2}},
            "SelectedInstanceCount",
        ),
    ],
)
def test_bad_requests_are_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValidationError, Unsupported), match=words):
        rules.check(request(**changes))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (
            {"sources": [{"InputName": "a", "DatasetDefinition": {"LocalPath": f"{ROOT}/x"}}]},
            "DatasetDefinition",
        ),
        (
            {"targets": [{"OutputName": "a", "FeatureStoreOutput": {"FeatureGroupName": "group"}}]},
            "FeatureStoreOutput",
        ),
        ({"ProcessingOutputConfig": {"Outputs": [], "KmsKeyId": "key"}}, "KmsKeyId"),
        ({"cluster": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "VolumeKmsKeyId": "key"}}, "VolumeKmsKeyId"),
        ({"cluster": {"InstanceType": "ml.m5.large", "VolumeSizeInGB": 1, "InstanceCount": 65}}, "65 instances"),
    ],
)
def test_what_is_not_run_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Unsupported, match=field):
        rules.check(request(**changes))


def test_what_aws_fills_in() -> None:
    asked = request(sources=[given("a", ROOT)], targets=[left("b", f"{ROOT}/out")])
    rules.check(asked)
    found = rules.complete(asked)
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert found["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert found["ProcessingInputs"][0]["AppManaged"] is False
    source = found["ProcessingInputs"][0]["S3Input"]
    assert (source["S3InputMode"], source["S3DataDistributionType"]) == ("File", "FullyReplicated")
    assert found["ProcessingOutputConfig"]["Outputs"][0]["AppManaged"] is False


def test_the_first_preference_is_selected() -> None:
    preferences = [{"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}, {"InstanceType": "ml.m5.large"}]
    asked = request(cluster={"VolumeSizeInGB": 1, "InstancePreferences": preferences})
    rules.check(asked)
    job = Job("job", "arn", "region", rules.complete(asked), Path("/x"))
    assert [(host.name, host.instance_type) for host in job.hosts] == [
        ("algo-1", "ml.m5.xlarge"),
        ("algo-2", "ml.m5.xlarge"),
    ]


def test_inputs_share_the_mount_of_the_outermost_and_none_hides_an_output() -> None:
    sources = [
        given("data", f"{ROOT}/data"),
        given("deep", f"{ROOT}/data/deep/"),
        given("data-2", f"{ROOT}/data-2"),
        given("both", f"{ROOT}/both"),
        given("own", None) | {"AppManaged": True},
    ]
    targets = [left("out", f"{ROOT}/both/out"), left("apart", f"{ROOT}/apart")]
    asked = request(sources=sources, targets=targets)
    rules.check(asked)
    document = rules.complete(asked)
    found = inputs.placed(document)
    roots = inputs.roots(found)
    place = Path("/instance")
    assert {each.path.removeprefix(f"{ROOT}/"): str(each.folder(place, roots)) for each in found} == {
        "both": "/instance/ml/processing/both",
        "data": "/instance/inputs/0",
        "data-2": "/instance/inputs/1",
        "data/deep": "/instance/inputs/0/deep",
    }
    assert [(str(each.source), each.target, each.layered) for each in inputs.mounts(document, place)] == [
        ("/instance/inputs/0", f"{ROOT}/data", True),
        ("/instance/inputs/1", f"{ROOT}/data-2", True),
    ]


def test_an_input_that_a_pipe_lies_in_is_copied() -> None:
    sources = [
        given("outer", f"{ROOT}/in"),
        given("pipe", f"{ROOT}/in/data", S3InputMode="Pipe"),
        given("b", f"{ROOT}/b"),
    ]
    document = rules.complete(request(sources=sources))
    assert [(each.path, each.copied) for each in inputs.placed(document)] == [
        (f"{ROOT}/b", False),
        (f"{ROOT}/in", True),
    ]
    assert [each.path for each in inputs.piped(document)] == [f"{ROOT}/in/data"]


def test_shares_go_by_host() -> None:
    asked = request(sources=[given("a", ROOT, S3DataDistributionType="ShardedByS3Key"), given("b", f"{ROOT}/b")])
    first, second = inputs.placed(rules.complete(asked))
    host = Host(1, "algo-2", "group", "ml.m5.large")
    assert (first.channel(host, 3).index, first.channel(host, 3).count) == (1, 3)
    assert (second.channel(host, 3).index, second.channel(host, 3).count) == (0, 1)

"""Jobs and endpoints whose files are kept by another S3."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator

import pytest
from tests.api.s3.upstreams import Upstream, in_front_of, wildsage
from tests.api.sagemaker.conftest import BUCKET, ECHO, Account, until

LOOK = """
import os, pathlib
found = {}
for channel in ("file", "fast"):
    folder = pathlib.Path("/opt/ml/input/data") / channel
    found[channel] = sorted((path.name, path.read_bytes()[-1:], path.stat().st_size) for path in folder.iterdir())
found["pipe"] = len(pathlib.Path("/opt/ml/input/data/pipe_0").read_bytes())
for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try:
        assert b"WILDSAGE_S3_UPSTREAM" not in path.read_bytes(), path
    except PermissionError:
        pass  # so much the better
assert not any("UPSTREAM" in name for name in os.environ)
pathlib.Path("/opt/ml/model/found.txt").write_text(repr(found))
"""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Upstream, Account]]:
    folder = tmp_path_factory.mktemp("ws")
    with wildsage(folder / "back") as (upstream, _), in_front_of(upstream.settings(), folder / "front") as server:
        clients = (server.client(name) for name in ("s3", "sagemaker", "sagemaker-runtime", "logs"))
        account = Account(server, *clients)
        account.s3.create_bucket(Bucket=BUCKET)
        yield upstream, account


def test_a_job_reads_and_writes_there(behind: tuple[Upstream, Account]) -> None:
    upstream, account = behind
    sizes = {"big": 9 * 1024 * 1024, "empty": 0, "small": 10}
    for name, size in sizes.items():
        upstream.client.put_object(Bucket=BUCKET, Key=f"data/{name}", Body=bytes(size))
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/", "S3DataDistributionType": "FullyReplicated"}
    listed = json.dumps([{"prefix": f"s3://{BUCKET}/data/"}, "small", "big", "small"])
    upstream.client.put_object(Bucket=BUCKET, Key="manifest", Body=listed.encode())
    manifest = {**source, "S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/manifest"}
    channels = [
        {"ChannelName": "pipe", "DataSource": {"S3DataSource": manifest}, "InputMode": "Pipe"},
        {"ChannelName": "file", "DataSource": {"S3DataSource": source}},
        {"ChannelName": "fast", "DataSource": {"S3DataSource": source}, "InputMode": "FastFile"},
    ]
    name = account.train(LOOK, InputDataConfig=channels)
    job = account.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    packed = upstream.client.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.extractfile("found.txt")
        assert member is not None
        text = member.read().decode()
    seen = [(name, b"\0"[: min(1, size)], size) for name, size in sizes.items()]
    assert text == repr({"file": seen, "fast": seen, "pipe": 9 * 1024 * 1024 + 20})


def test_an_endpoint_s_model_comes_from_there(behind: tuple[Upstream, Account]) -> None:
    _, account = behind
    name = account.model(ECHO)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    described = account.settled(name)
    assert described["EndpointStatus"] == "InService", described
    assert until(lambda: account.invoke(name, b"hello")) == b"hello"
    account.delete(name)


def test_a_job_says_what_the_upstream_said(behind: tuple[Upstream, Account]) -> None:
    _, account = behind
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": "s3://no-such-bucket/data/",
        "S3DataDistributionType": "FullyReplicated",
    }
    channels = [{"ChannelName": "file", "DataSource": {"S3DataSource": source}}]
    job = account.trained(account.train("", InputDataConfig=channels))
    assert job["TrainingJobStatus"] == "Failed"
    assert "No S3 objects found" in job["FailureReason"]
    assert "The specified bucket does not exist" in job["FailureReason"]

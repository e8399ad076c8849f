"""Batch transform jobs through boto3."""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, SKLEARN, Account, archive, until
from tests.api.sagemaker.transforms import SCRIPT, described, go_on, logged, named, outputs, put, transform, transformed


@pytest.fixture(scope="module")
def model(account: Account) -> str:
    return account.model(SCRIPT)


def done(account: Account, model: str, files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """What a job that goes well makes of these files."""
    name = transform(account, model, name=put(account, files), **changes)
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Completed", job
    return outputs(account, name)


def failed(account: Account, model: str, files: dict[str, bytes], **changes: Any) -> tuple[str, str]:
    """The name of a job that fails, and its FailureReason."""
    name = transform(account, model, name=put(account, files), **changes)
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Failed", job
    return name, job["FailureReason"]


def test_a_job_from_its_creation_to_its_end(account: Account, model: str) -> None:
    lines = b"".join(b"%d,1\n" % number for number in range(1000))
    name = transform(account, model, name=put(account, {"a.csv": lines, "b/c.csv": b"1,2\n3,4"}), Tags=[])
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Completed", job
    assert outputs(account, name) == {
        "a.csv.out": b"".join(b"%.1f\n" % (2 * number + 2) for number in range(1000)),
        "b/c.csv.out": b"6.0\n14.0\n",
    }
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert job["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    assert job["TransformJobArn"].endswith(f":transform-job/{name}")
    (listed,) = account.sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"]
    assert (listed["TransformJobName"], listed["TransformJobStatus"]) == (name, "Completed")
    logs = logged(account, name)
    assert "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD" in logs["data-log"]
    assert "the model is loaded" in logs[""]
    with pytest.raises(ClientError, match="transform job with this name already exists"):
        transform(account, model, name=name)
    with pytest.raises(ClientError, match="is in status Completed"):
        account.sagemaker.stop_transform_job(TransformJobName=name)


def test_tags_and_unknown_jobs(account: Account, model: str) -> None:
    name = transform(account, model, name=put(account, {"a": b"1\n"}), Tags=[{"Key": "team", "Value": "red"}])
    tags = account.sagemaker.list_tags(ResourceArn=described(account, name)["TransformJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "red"}]
    with pytest.raises(ClientError, match="Could not find requested job with name: nobody"):
        described(account, "nobody")
    with pytest.raises(ClientError, match=r'Could not find model "arn:aws:sagemaker:[^"]*nobody"'):
        transform(account, "nobody")
    assert transformed(account, name)["TransformJobStatus"] == "Completed"


def test_rows_are_filtered_and_joined(account: Account, model: str) -> None:
    files = {"people.csv": b'"a,b",1,2\nsecond,3,4\n'}
    kept = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    found = done(account, model, files, DataProcessing=kept, MaxConcurrentTransforms=4, BatchStrategy="SingleRecord")
    assert found == {"people.csv.out": b'"a,b",6.0\nsecond,14.0\n'}


def test_json_lines_are_filtered_and_joined(account: Account, model: str) -> None:
    lines = [{"id": number, "features": [number, 1]} for number in range(50)]
    text = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    found = done(
        account,
        model,
        {"lines.jsonl": text},
        TransformInput__ContentType="application/jsonlines",
        TransformOutput__Accept="application/jsonlines",
        DataProcessing={
            "InputFilter": "$.features",
            "JoinSource": "Input",
            "OutputFilter": "$['id','SageMakerOutput']",
        },
    )
    assert [json.loads(line) for line in found["lines.jsonl.out"].splitlines()] == [
        {"id": number, "SageMakerOutput": [[number, 1]]} for number in range(50)
    ]


def test_whole_objects_records_and_streams(account: Account, model: str) -> None:
    """Each is answered with the number of bytes that came in a request."""
    framed = struct.pack("<II", 0xCED7230A, 5) + b"first" + bytes(3)
    plain: dict[str, Any] = {
        "TransformInput__ContentType": "application/x-any",
        "TransformOutput__Accept": "text/plain",
        "Environment": {"GREETING": "hello"},
    }
    whole = done(account, model, {"image": b"x" * 70_000}, TransformInput__SplitType="None", **plain)
    assert whole == {"image.out": b"70000 true hello\n"}
    many = {f"image-{number}": b"x" * number for number in range(1, 30)}
    several = done(account, model, many, TransformInput__SplitType="None", MaxConcurrentTransforms=5, **plain)
    assert several == {f"image-{number}.out": b"%d true hello\n" % number for number in range(1, 30)}
    records = {"TransformInput__SplitType": "RecordIO", **plain}
    folders = {"marks/": b"", "holds/": framed * 3}
    found = done(account, model, {"r": framed * 3, **folders}, **records)
    assert found == {"r.out": b"48 true hello\n", "holds/.out": b"48 true hello\n"}
    single = done(account, model, {"r": framed * 3}, BatchStrategy="SingleRecord", **records)
    assert single == {"r.out": b"5 true hello\n" * 3}
    streamed = done(
        account,
        model,
        {"big": b"y" * 9_000_000, "empty": b""},
        MaxPayloadInMB=0,
        **{**plain, "TransformInput__SplitType": "None", "TransformOutput__AssembleWith": "None"},
    )
    assert streamed["big.out"] == b"9000000 true hello"


def test_gzip_and_several_instances_and_a_manifest(account: Account, model: str) -> None:
    name = put(account, {f"part-{number}.csv": gzip.compress(b"%d\n" % number * 500) for number in range(5)})
    names = [f"part-{number}.csv" for number in (0, 1, 2, 4)]
    manifest = [{"prefix": f"s3://{BUCKET}/{name}/in/"}, *names]
    account.put(f"{name}/list", json.dumps(manifest).encode())
    transform(
        account,
        model,
        name=name,
        TransformInput__DataSource={
            "S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/{name}/list"}
        },
        TransformInput__CompressionType="Gzip",
        TransformResources__InstanceCount=2,
    )
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Completed", job
    assert outputs(account, name) == {f"part-{n}.csv.out": b"%.1f\n" % (2 * n) * 500 for n in (0, 1, 2, 4)}
    assert (
        len(
            account.logs.describe_log_streams(
                logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=f"{name}/"
            )["logStreams"]
        )
        == 4
    )


def test_a_record_that_the_container_cannot_take_is_named(account: Account, model: str) -> None:
    lines = [b"%d,2\n" % number for number in range(60_000)]
    lines[50_000] = b"boom,2\n"
    files = {"bad.csv": b"".join(lines), "good.csv": b"1,2\n"}
    client = {"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 60}
    name, reason = failed(account, model, files, ModelClientConfig=client)
    assert f"s3://{BUCKET}/{name}/in/bad.csv: record 50001: the container answered 500" in reason
    assert 'It begins "boom,2"' in reason
    assert "ValueError: no number in boom,2" in reason  # the container's words
    assert outputs(account, name) == {"good.csv.out": b"6.0\n"}  # the other object went well
    log = logged(account, name)["data-log"]
    assert f"[sagemaker logs]: {BUCKET}/{name}/in/bad.csv: ClientError: 500" in log


def test_a_record_over_the_payload_limit_is_named(account: Account, model: str) -> None:
    big = b"1,2\n3,4\n" + b"5," * 700_000 + b"6\n"
    _, reason = failed(account, model, {"big.csv": big}, MaxPayloadInMB=1)
    assert "record 3: it has more than the 1 MB that MaxPayloadInMB allows" in reason
    _, reason = failed(account, model, {"big.csv": big}, MaxPayloadInMB=1, TransformInput__SplitType="None")
    assert "big.csv has more than the 1 MB" in reason
    assert "SplitType" in reason


def test_a_record_without_end_is_refused_although_a_filter_would_leave_little_of_it(
    account: Account, model: str
) -> None:
    packed = gzip.compress(b"1," * (53 << 20), 1)
    gzipped = {"TransformInput__CompressionType": "Gzip", "DataProcessing": {"InputFilter": "$[0]"}}
    _, reason = failed(account, model, {"endless.csv.gz": packed}, MaxPayloadInMB=1, **gzipped)
    assert "record 1: it has more than the 100 MB" in reason


def test_a_filter_that_does_not_fit_names_the_record(account: Account, model: str) -> None:
    processing = {"InputFilter": "$[2]"}
    _, reason = failed(account, model, {"rows.csv": b"1,2,3\n4,5\n"}, DataProcessing=processing)
    assert "rows.csv: record 2: InputFilter $[2] does not fit: index 2 is not within the 2 there are" in reason


def test_input_that_is_not_there(account: Account, model: str) -> None:
    _, reason = failed(account, model, {})
    assert "No S3 objects found under S3 URL" in reason
    name = put(account, {"here": b"1\n"})
    account.put(f"{name}/list", json.dumps([{"prefix": f"s3://{BUCKET}/{name}/in/"}, "here", "gone"]).encode())
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/{name}/list"}}
    transform(account, model, name=name, TransformInput__DataSource=source)
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Failed"
    assert f"s3://{BUCKET}/{name}/in/gone does not exist" in job["FailureReason"]
    assert outputs(account, name) == {"here.out": b"2.0\n"}


def test_input_that_is_deleted_or_overwritten_meanwhile(account: Account, model: str) -> None:
    """The container waits while it happens, at the first of two objects or early in a large one."""
    name = transform(account, model, name=put(account, {"a.csv": b"wait\n1\n", "b.csv": b"2\n"}))
    until(lambda: "it waits" in container_log(account, name))
    account.s3.delete_object(Bucket=BUCKET, Key=f"{name}/in/b.csv")
    go_on(account)
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Failed", job
    assert f"s3://{BUCKET}/{name}/in/b.csv does not exist any more" in job["FailureReason"]
    assert outputs(account, name) == {"a.csv.out": b"2.0\n"}

    large = b"wait\n" + b"1\n" * 8_000_000
    name = transform(account, model, name=put(account, {"a.csv": large}), MaxPayloadInMB=1)
    until(lambda: "it waits" in container_log(account, name))
    account.put(f"{name}/in/a.csv", b"2\n" * 8_000_000)
    go_on(account)
    job = transformed(account, name)
    assert job["TransformJobStatus"] == "Failed", job
    assert f"s3://{BUCKET}/{name}/in/a.csv was overwritten while it was transformed" in job["FailureReason"]
    assert outputs(account, name) == {}


def container_log(account: Account, name: str) -> str:
    """What the container has said so far."""
    try:
        return logged(account, name).get("", "")
    except account.logs.exceptions.ResourceNotFoundException:
        return ""


def test_an_output_bucket_that_is_denied(account: Account, model: str) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::no-outputs/*"}
        ],
    }
    account.s3.create_bucket(Bucket="no-outputs")
    account.s3.put_bucket_policy(Bucket="no-outputs", Policy=json.dumps(policy))
    name, reason = failed(account, model, {"a": b"1\n", "b": b"1\n"}, TransformOutput__S3OutputPath="s3://no-outputs/x")
    assert "s3://no-outputs/x/a.out could not be written" in reason
    assert '"s3:PutObject" permission' in reason
    assert "b: " not in logged(account, name)["data-log"]  # nothing more was tried
    _, reason = failed(account, model, {"a": b"1\n"}, TransformOutput__S3OutputPath="s3://no-such-bucket-anywhere/x")
    assert "NoSuchBucket" in reason


def test_a_container_that_is_silent_or_ends(account: Account, model: str) -> None:
    client = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    name, reason = failed(account, model, {"slow.csv": b"sleep\n"}, ModelClientConfig=client)
    assert "slow.csv: record 1: the container gave no answer within 1 seconds" in reason
    seen = account.server.client("cloudwatch").list_metrics(Namespace="/aws/sagemaker/TransformJobs")["Metrics"]
    hosts = {each["Dimensions"][0]["Value"].partition("/")[0]: each["Dimensions"][0]["Name"] for each in seen}
    assert hosts[name] == "Host"
    assert {"CPUUtilization", "MemoryUtilization"} <= {each["MetricName"] for each in seen}
    _, reason = failed(account, model, {"deadly.csv": b"exit\n"})
    assert "The container ended while it transformed" in reason


def test_a_job_is_stopped_at_any_time(account: Account, model: str) -> None:
    at_once = transform(account, model, name=put(account, {"a.csv": b"1\n"}))
    account.sagemaker.stop_transform_job(TransformJobName=at_once)
    name = transform(account, model, name=put(account, {"a.csv": b"1\n", "b.csv": b"sleep\n"}))
    until(lambda: outputs(account, name))
    account.sagemaker.stop_transform_job(TransformJobName=name)
    assert described(account, name)["TransformJobStatus"] in ("Stopping", "Stopped")
    assert transformed(account, name)["TransformJobStatus"] == "Stopped"
    assert outputs(account, name) == {"a.csv.out": b"2.0\n"}
    assert transformed(account, at_once)["TransformJobStatus"] == "Stopped"


def in_series(account: Account, *scripts: str, mode: str = "Serial") -> str:
    """A model with a container for each script."""
    name = f"series-{named()}"
    containers = [
        {
            "ContainerHostname": f"step-{number}",
            "Image": SKLEARN,
            "ModelDataUrl": account.put(f"{name}/{number}.tar.gz", archive({"code/inference.py": script})),
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
        }
        for number, script in enumerate(scripts, 1)
    ]
    account.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=account.server.role,
        Containers=containers,
        InferenceExecutionConfig={"Mode": mode},
    )
    return name


TO_LINES = """
def model_fn(folder): return None
def transform_fn(model, body, content_type, accept):
    return "".join(f"[{line}]\\n" for line in body.splitlines()), "application/jsonlines"
"""


def test_containers_in_series(account: Account) -> None:
    """The first makes JSON lines of CSV, and the second is told so."""
    series = in_series(account, TO_LINES, SCRIPT)
    assert done(account, series, {"a": b"1,2\n3,4\n"}) == {"a.out": b"[[1, 2]]\n[[3, 4]]\n"}
    name, reason = failed(account, series, {"a": b'1,2\n"boom"\n'}, ModelClientConfig={"InvocationsMaxRetries": 0})
    assert "record 2: container step-2 answered 500" in reason
    assert set(logged(account, name)) == {"step-1", "step-2", "data-log"}
    with pytest.raises(ClientError, match=r"InferenceExecutionConfig\.Mode must be Serial"):
        transform(account, in_series(account, TO_LINES, SCRIPT, mode="Direct"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DataProcessing": {"InputFilter": "$.a"}}, 'Invalid InputFilter: "\\$.a". Unexpected "."'),
        ({"DataProcessing": {"OutputFilter": "[1:]"}}, 'Invalid OutputFilter: "\\[1:\\]". It must begin with'),
        ({"DataProcessing": {"OutputFilter": "$[0:1,4:]"}}, "only single range filters"),
        ({"DataProcessing": {"JoinSource": "Input"}, "TransformOutput__AssembleWith": "None"}, "AssembleWith Line"),
        ({"DataProcessing": {"JoinSource": "Input"}, "TransformInput__ContentType": "image/png"}, "ContentType of"),
        ({"DataProcessing": {"JoinSource": "Input"}, "TransformOutput__Accept": "application/json"}, "same format"),
        ({"MaxPayloadInMB": 101}, "cannot be greater than 100"),
        ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, "cannot exceed 100 MB, but it is 4 \\* 30"),
        ({"TransformOutput__S3OutputPath": "https://bucket/x"}, "S3OutputPath https://bucket/x is not valid"),
        ({"TransformInput__ContentType": "text/\u2603"}, "ContentType 'text/.*' cannot be sent as a header"),
        ({"TransformOutput__Accept": "text/\u2603"}, "Accept 'text/.*' cannot be sent as a header"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://bucket/x"}}, "DataCaptureConfig is not supported"),
        ({"TransformResources__InstanceCount": 101}, "more than the maximum of 100"),
    ],
)
def test_what_cannot_be_is_refused_at_once(account: Account, model: str, changes: Any, words: str) -> None:
    with pytest.raises(ClientError, match=words):
        transform(account, model, **changes)

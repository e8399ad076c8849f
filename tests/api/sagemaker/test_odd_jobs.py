"""Archives, names and scripts that nobody should send: each job ends soon, in words, and leaves nothing."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, SKLEARN, Account, archive, until


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return whole.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


def damaged() -> bytes:
    whole = packed((member("train.py"), random.Random(1).randbytes(50_000)))
    return whole[:20_000] + bytes(500) + whole[20_500:]


SOURCES: list[tuple[bytes, str]] = [
    (b"", "the object is empty"),
    (b"hello", r"the object \(5 bytes\) is not a tar.gz archive"),
    (damaged(), "is damaged or incomplete"),
    (packed((member("../../evil"), b"x")), "its member '../../evil' would be put outside of its folder"),
    (packed((member("disk", tarfile.BLKTYPE), b"")), "its member 'disk' is a device or pipe"),
    (packed((member("etc", tarfile.SYMTYPE, "/etc"), b"")), "its member 'etc' is a link to an absolute path"),
    (packed((member("up", tarfile.SYMTYPE, "../.."), b"")), "its member 'up' is a link that leads out of its folder"),
    (packed((member("n" * 300), b"x")), "a name is longer than 255 bytes"),
    (packed((member("a"), b"x"), (member("a/b"), b"x")), "a name is that of a file and of a folder"),
]


def failed(account: Account, name: str) -> str:
    """The FailureReason of a job that must fail; nothing of the server's own paths is in it."""
    job = account.trained(name)
    assert job["TrainingJobStatus"] == "Failed", job
    reason: str = job["FailureReason"]
    assert str(account.server.data) not in reason
    assert [path.name for path in (account.server.data / "instances").glob("train-*")] == []
    return reason


@pytest.mark.parametrize(("source", "words"), SOURCES, ids=[words for _, words in SOURCES])
def test_source_archives(account: Account, source: bytes, words: str) -> None:
    uri = account.put("odd/source.tar.gz", source)
    hyperparameters = {"sagemaker_submit_directory": uri, "sagemaker_program": "train.py"}
    reason = failed(account, account.train("", HyperParameters=hyperparameters))
    assert reason.startswith("ClientError: ")
    assert_matches(reason, words)


def assert_matches(text: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(text)


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", f"s3://{BUCKET}", f"s3://{BUCKET}/"])
def test_a_source_that_is_no_address(account: Account, uri: str) -> None:
    hyperparameters = {"sagemaker_submit_directory": uri, "sagemaker_program": "train.py"}
    reason = failed(account, account.train("", HyperParameters=hyperparameters))
    assert f'the hyperparameter sagemaker_submit_directory is "{uri}"; it must have the form' in reason


@pytest.mark.parametrize("keys", [("names/a", "names/a/b"), ("names/" + "n" * 300,), ("names/x/../y",)])
def test_keys_that_are_no_paths(account: Account, keys: tuple[str, ...]) -> None:
    for key in keys:
        account.put(key, b"x")
    try:
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/names/"}}
        name = account.train("", InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
        assert failed(account, name).startswith("ClientError: ")
    finally:
        for key in keys:
            account.s3.delete_object(Bucket=BUCKET, Key=key)


def test_model_archives(account: Account) -> None:
    for number, (content, words) in enumerate(SOURCES):
        name = f"odd-{number}"
        uri = account.put(f"odd/{name}.tar.gz", content)
        account.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=account.server.role,
            PrimaryContainer={"Image": SKLEARN, "ModelDataUrl": uri},
        )
        variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        account.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        found = account.settled(name)
        assert found["EndpointStatus"] == "Failed"
        assert_matches(found["FailureReason"], words)
        account.delete(name)
    assert list((account.server.data / "instances").glob("host-*")) == []


DEEP = """
import os
os.chdir("{}")
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
"""
# A script, and what its job must say; nothing: it completes.
SCRIPTS: list[tuple[str, str]] = [
    (DEEP.format("/tmp"), ""),
    (DEEP.format("/opt/ml/code"), ""),
    (DEEP.format("/opt/ml/model"), "uploading the model: a name is longer than 255 bytes, or a path longer than 4,096"),
    ("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)", ""),
    ("import os\nos.mkdir('/opt/ml/model/closed', 0)", ""),
    ("open(b'/opt/ml/model/\\xff\\xfe', 'w').close()\nimport os\nos.mkfifo('/opt/ml/model/pipe')", ""),
    ("import os\nos.rmdir('/opt/ml/model')\nos.symlink('/etc', '/opt/ml/model')", "/opt/ml/model is a symbolic link"),
    ("raise ValueError('my own words')", "ValueError: my own words"),
    ("x = bytearray(20 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1", r"ran out of memory \(ml.t3.medium\)"),
    ("import os\nos.kill(os.getpid(), 11)", "ExitCode 139"),
    ("import os\nos.kill(-1, 9)", "exit code: 137"),
]


@pytest.mark.parametrize(("script", "words"), SCRIPTS)
def test_scripts(account: Account, script: str, words: str) -> None:
    small = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}  # 4 GiB are soon full
    name = account.train(script, ResourceConfig=small)
    if words:
        assert_matches(failed(account, name), words)
    else:
        assert account.trained(name)["TrainingJobStatus"] == "Completed"
    assert [path.name for path in (account.server.data / "instances").glob("train-*")] == []


ODD_FILES = """
import os, socket
os.chdir("/opt/ml/model")
os.makedirs("sub/deep")
open("weights", "w").write("w")
for name, target in (
    ("inside", "weights"), ("sub/inside", "../weights"), ("sub/out", "../../../../etc/passwd"), ("out", "/etc/passwd"),
):
    os.symlink(target, name)
os.link("weights", "sub/again")
os.mkfifo(b"pipe\\xff\\n")
socket.socket(socket.AF_UNIX).bind("socket")
os.makedirs("/opt/ml/output/data/x")
os.mkfifo("/opt/ml/output/data/x/pipe")
"""


def test_what_is_no_file_is_named_in_the_log(account: Account) -> None:
    """It was left out without a word; of links there is where they point, and nothing of what is there."""
    name = account.train(ODD_FILES)
    job = account.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    content = account.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = {each.name: each.linkname for each in tar}
    links = {"inside": "weights", "sub/inside": "../weights", "sub/out": "../../../../etc/passwd", "out": "/etc/passwd"}
    again = found.pop("sub/again"), found.pop("weights")
    assert sorted(again) in (["", "sub/again"], ["", "weights"])
    assert found == {**links, "sub": "", "sub/deep": ""}
    assert b"root:" not in gzip.decompress(content)
    logged = account.logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/", filterPattern="wildsage"
    )
    said = "\n".join(event["message"] for event in logged["events"])
    odd = "/opt/ml/model/pipe??, /opt/ml/model/socket, /opt/ml/output/data/x/pipe"
    assert f"Left out of the artifact: {odd}. Pipes" in said
    assert "Links that lead out of their folder: /opt/ml/model/out, /opt/ml/model/sub/out. The artifact" in said


def test_output_that_is_no_text(account: Account) -> None:
    script = (
        "import sys\nprint('héllo ✓ 🙂', flush=True)\nsys.stdout.buffer.write(b'\\xff\\xfe\\x00 raw\\n')\n"
        "sys.stdout.buffer.write(b'x' * 1_000_000 + b'\\n')\nsys.stdout.write('no end')\n"
    )
    name = account.train(script)
    assert account.trained(name)["TrainingJobStatus"] == "Completed"
    found = account.logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")
    messages = [event["message"] for event in found["events"]]
    while "nextToken" in found:
        found = account.logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamNamePrefix=f"{name}/",
            nextToken=found["nextToken"],
        )
        messages += [event["message"] for event in found["events"]]
    assert "héllo ✓ 🙂" in messages
    assert any(message.endswith(" raw") for message in messages)
    assert sum(len(message) for message in messages if set(message) == {"x"}) == 1_000_000
    assert any(message.startswith("no end") for message in messages)


def test_entry_points_that_are_not_there(account: Account) -> None:
    for program in ("absent.py", "absent.sh", "package"):
        source = account.put("odd/good.tar.gz", archive({"train.py": ""}))
        hyperparameters = {"sagemaker_submit_directory": source, "sagemaker_program": program}
        reason = failed(account, account.train("", HyperParameters=hyperparameters))
        assert f"{program} is not in the source directory." in reason


@pytest.mark.parametrize("regex", ["(x", "a{99999999999999999999}", "(?P<1>x)"])
def test_metric_expressions_that_are_none(account: Account, regex: str) -> None:
    algorithm = {
        "TrainingImage": SKLEARN,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": regex}],
    }
    with pytest.raises(ClientError, match="regular expression of metric definition loss is not valid") as caught:
        account.train("", AlgorithmSpecification=algorithm)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_expression_without_end_holds_up_nobody(account: Account) -> None:
    algorithm = {
        "TrainingImage": SKLEARN,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "endless", "Regex": "(a+)+$"}, {"Name": "loss", "Regex": "loss=(.*)"}],
    }
    script = "print('a' * 60 + 'b', flush=True)\nprint('loss=nan')\nprint('loss=0.5')"
    name = account.train(script, AlgorithmSpecification=algorithm)
    longest = 0.0

    def over() -> bool:
        nonlocal longest
        begun = time.monotonic()
        status = account.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
        longest = max(longest, time.monotonic() - begun)
        return bool(status == "Completed")

    until(over)
    assert longest < 0.9, "the server stood still for as long as the expression was searched for"
    job = account.trained(name)
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [("loss", 0.5)]
    found = account.logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs",
        logStreamNamePrefix=f"{name}/",
        filterPattern='"regular expression of metric endless takes too long"',
    )
    assert len(found["events"]) == 1


def refused(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    found: dict[str, Any] = caught.value.response["Error"]
    return found


def test_a_name_is_taken_once(account: Account) -> None:
    name = account.train("")
    error = refused(account.train, script="", TrainingJobName=name)
    assert error["Code"] == "ResourceInUse"
    assert error["Message"].startswith("Training job names must be unique within an AWS account and region")
    until(lambda: account.trained(name))

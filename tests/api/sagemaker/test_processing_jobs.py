"""Processing jobs through boto3."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, SKLEARN, Account, until

GROUP = "/aws/sagemaker/ProcessingJobs"
CODE = "/opt/ml/processing/input/code"
OVER = ("Completed", "Failed", "Stopped")


def read(uri: str, path: str, **changes: Any) -> dict[str, Any]:
    """An S3Input."""
    return {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", **changes}


def process(account: Account, script: str, inputs: Any = (), outputs: Any = (), **changes: Any) -> str:
    """Creates a job of a script; ``inputs``: S3Inputs; ``outputs``: (LocalPath, S3UploadMode), each to s3://…/NAME/N."""
    name = f"process-{uuid.uuid4().hex[:10]}"
    code = read(account.put(f"{name}/code/process.py", script.encode()), CODE)
    given = [{"InputName": f"input-{number}", "S3Input": each} for number, each in enumerate([code, *inputs])]
    written = [
        {
            "OutputName": f"output-{number}",
            "S3Output": {"S3Uri": f"s3://{BUCKET}/{name}/out/{number}", "LocalPath": path, "S3UploadMode": mode},
        }
        for number, (path, mode) in enumerate(outputs)
    ]
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    request: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": account.server.role,
        "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", f"{CODE}/process.py"]},
        "ProcessingInputs": given,
        "ProcessingOutputConfig": {"Outputs": written},
        "ProcessingResources": {"ClusterConfig": cluster},
        **changes,
    }
    account.sagemaker.create_processing_job(**request)
    return name


def cluster(count: int) -> dict[str, Any]:
    """ProcessingResources of several instances."""
    return {"ClusterConfig": {"InstanceType": "ml.t3.medium", "InstanceCount": count, "VolumeSizeInGB": 1}}


def described(account: Account, name: str) -> dict[str, Any]:
    found: dict[str, Any] = account.sagemaker.describe_processing_job(ProcessingJobName=name)
    return found


def processed(account: Account, name: str) -> dict[str, Any]:
    """The description of a job that is over."""
    until(lambda: described(account, name)["ProcessingJobStatus"] in OVER)
    return described(account, name)


def objects(account: Account, prefix: str) -> dict[str, bytes]:
    """What lies below a prefix, by what follows it."""
    found = account.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): account.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        for each in found
    }


def lines(account: Account, name: str) -> list[str]:
    streams = account.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    found = []
    for stream in streams:
        page = account.logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
        )
        found += [event["message"] for event in page["events"]]
    return found


def test_a_script_reads_its_inputs_and_leaves_its_outputs(account: Account) -> None:
    account.put("census/a.csv", b"1,2\n")
    account.put("census/deep/b.csv", b"3,4\n")
    script = """
import json, os, sys
data = "/opt/ml/processing/input/data"
found = sorted(os.path.relpath(os.path.join(at, name), data) for at, _, names in os.walk(data) for name in names)
job = json.load(open("/opt/ml/config/processingjobconfig.json"))
hosts = json.load(open("/opt/ml/config/resourceconfig.json"))
said = dict(found=found, job=job["ProcessingJobArn"], hosts=hosts["hosts"], me=hosts["current_host"], argv=sys.argv[1:])
said["color"] = os.environ["COLOR"]
os.makedirs("/opt/ml/processing/train/deep")
json.dump(said, open("/opt/ml/processing/train/deep/said.json", "w"))
os.symlink("/etc/passwd", "/opt/ml/processing/train/link")
os.mkfifo("/opt/ml/processing/train/pipe")
open(data + "/a.csv", "w").write("changed")
os.makedirs("/opt/ml/output", exist_ok=True)
open("/opt/ml/output/message", "w").write("two files")
print("done", flush=True)
"""
    app = {
        "ImageUri": SKLEARN,
        "ContainerEntrypoint": ["python3", f"{CODE}/process.py"],
        "ContainerArguments": ["--ratio", "0.2"],
    }
    name = process(
        account,
        script,
        [read(f"s3://{BUCKET}/census/", "/opt/ml/processing/input/data")],
        [("/opt/ml/processing/train", "EndOfJob"), ("/opt/ml/processing/empty/", "EndOfJob")],
        AppSpecification=app,
        Environment={"COLOR": "blue"},
    )
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert job["ExitMessage"] == "two files"
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert job["ProcessingInputs"][1]["S3Input"]["S3InputMode"] == "File"
    out = objects(account, f"{name}/out/")
    assert list(out) == ["0/deep/said.json"]
    assert json.loads(out["0/deep/said.json"]) == {
        "found": ["a.csv", "deep/b.csv"],
        "job": job["ProcessingJobArn"],
        "hosts": ["algo-1"],
        "me": "algo-1",
        "argv": ["--ratio", "0.2"],
        "color": "blue",
    }
    assert objects(account, "census/a.csv") == {"": b"1,2\n"}  # the job changed its own copy
    assert "done" in lines(account, name)
    (said,) = [line for line in lines(account, name) if "Not uploaded" in line]
    assert "/opt/ml/processing/train/link" in said and "/opt/ml/processing/train/pipe" in said
    assert name in [
        each["ProcessingJobName"] for each in account.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    ]
    account.sagemaker.delete_processing_job(ProcessingJobName=name)
    with pytest.raises(ClientError, match="Could not find requested job"):
        described(account, name)


def test_inputs_and_outputs_may_lie_in_one_another(account: Account) -> None:
    account.put("nested/x", b"x")
    account.put("inner/y", b"y")
    script = """
import os
assert sorted(os.listdir("/opt/ml/processing/data")) == ["in", "out", "x"], os.listdir("/opt/ml/processing/data")
assert os.listdir("/opt/ml/processing/data/in") == ["y"]
open("/opt/ml/processing/data/out/z", "w").write("z")
open("/opt/ml/processing/data/x", "a").write("!")
"""
    inputs = [
        read(f"s3://{BUCKET}/nested/", "/opt/ml/processing/data"),
        read(f"s3://{BUCKET}/inner/", "/opt/ml/processing/data/in/"),
        read(f"s3://{BUCKET}/inner/", "/opt/ml/processing/input"),
    ]
    outputs = [("/opt/ml/processing/data/out", "EndOfJob"), ("/opt/ml/processing/data", "EndOfJob")]
    name = process(account, script, inputs, outputs)
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert objects(account, f"{name}/out/") == {
        "0/z": b"z",
        "1/x": b"x!",
        "1/in/y": b"y",
        "1/out/z": b"z",
    }
    assert objects(account, "nested/x") == {"": b"x"}


def test_continuous_output_is_there_while_the_job_runs(account: Account) -> None:
    script = """
import os, time
open("/opt/ml/processing/live/first", "w").write("1")
open("/opt/ml/processing/late/first", "w").write("1")
while not os.path.exists("/opt/ml/processing/live/never"): time.sleep(0.1)
"""
    outputs = [("/opt/ml/processing/live", "Continuous"), ("/opt/ml/processing/late", "EndOfJob")]
    name = process(account, script, outputs=outputs)
    until(lambda: objects(account, f"{name}/out/") == {"0/first": b"1"})
    assert described(account, name)["ProcessingJobStatus"] == "InProgress"
    account.sagemaker.stop_processing_job(ProcessingJobName=name)
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Stopped"
    assert objects(account, f"{name}/out/") == {"0/first": b"1", "1/first": b"1"}
    with pytest.raises(ClientError, match="is in status Stopped"):
        account.sagemaker.stop_processing_job(ProcessingJobName=name)


def test_pipes_carry_the_data_of_an_epoch(account: Account) -> None:
    for number in range(4):
        account.put(f"piped/{number}", gzip.compress(f"{number}\n".encode()))
    script = """
import os
assert os.listdir("/opt/ml/processing/in/files") == ["0"]
for epoch in range(2):
    with open(f"/opt/ml/processing/in/data_{epoch}", "rb") as pipe:
        open(f"/opt/ml/processing/out/{epoch}", "wb").write(pipe.read())
"""
    piped = {"S3InputMode": "Pipe", "S3CompressionType": "Gzip"}
    inputs = [
        read(f"s3://{BUCKET}/piped/", "/opt/ml/processing/in/data", **piped),
        read(f"s3://{BUCKET}/piped/0", "/opt/ml/processing/in/files"),
    ]
    name = process(account, script, inputs, [("/opt/ml/processing/out", "EndOfJob")])
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert objects(account, f"{name}/out/0/") == {"0": b"0\n1\n2\n3\n", "1": b"0\n1\n2\n3\n"}


def test_a_pipe_that_breaks_fails_the_job(account: Account) -> None:
    account.put("broken/0", b"no gzip")
    piped = {"S3InputMode": "Pipe", "S3CompressionType": "Gzip"}
    script = "open('/opt/ml/processing/data_0', 'rb').read()"
    name = process(account, script, [read(f"s3://{BUCKET}/broken/", "/opt/ml/processing/data", **piped)])
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert "cannot be decompressed" in job["FailureReason"]


def test_several_instances_share_the_keys_and_find_one_another(account: Account) -> None:
    for number in range(4):
        account.put(f"shards/{number}", b"")
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/shards/"}, "1", "3"]).encode()
    listed = account.put("shards.json", manifest)
    script = """
import json, os, socket
me = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
assert socket.gethostname() == me
for host in ("algo-1", "algo-2"): socket.gethostbyname(host)
found = [" ".join(sorted(os.listdir(f"/opt/ml/processing/{name}"))) for name in ("shards", "listed")]
open(f"/opt/ml/processing/out/{me}", "w").write("|".join(found))
open("/opt/ml/processing/out/same", "w").write(me)
open("/opt/ml/output/message", "w").write(me)
"""
    inputs = [
        read(f"s3://{BUCKET}/shards/", "/opt/ml/processing/shards", S3DataDistributionType="ShardedByS3Key"),
        read(listed, "/opt/ml/processing/listed", S3DataType="ManifestFile", S3DataDistributionType="ShardedByS3Key"),
    ]
    name = process(account, script, inputs, [("/opt/ml/processing/out", "Continuous")], ProcessingResources=cluster(2))
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert objects(account, f"{name}/out/0/") == {"algo-1": b"0 2|1", "algo-2": b"1 3|3", "same": b"algo-1"}
    assert job["ExitMessage"] == "algo-1algo-2"
    assert any("Several instances wrote" in line for line in lines(account, name))


def test_a_job_that_fails_says_why_and_keeps_its_output(account: Account) -> None:
    script = """
open("/opt/ml/processing/out/report", "w").write("bad")
open("/opt/ml/output/message", "w").write("column 3 is empty")
raise SystemExit(7)
"""
    name = process(account, script, outputs=[("/opt/ml/processing/out", "EndOfJob")])
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: column 3 is empty, exit code: 7"
    assert job["ExitMessage"] == "column 3 is empty"
    assert objects(account, f"{name}/out/0/") == {"report": b"bad"}


@pytest.mark.parametrize(
    ("script", "changes", "reason"),
    [
        ("raise ValueError('no such column')", {}, "ValueError: no such column, exit code: 1"),
        ("open('/opt/ml/output/message', 'wb').write(b'\\xff')", {}, "The exit message is not UTF-8"),
        (
            "import shutil; shutil.rmtree('/opt/ml/processing/out')\n"
            "import os; os.symlink('/etc', '/opt/ml/processing/out')",
            {},
            "/opt/ml/processing/out is no folder any more, or a symbolic link",
        ),
        ("", {"AppSpecification": {"ImageUri": SKLEARN}}, "no entry point for processing of its own"),
        (
            "",
            {"AppSpecification": {"ImageUri": "127.0.0.1:9/busybox", "ContainerEntrypoint": ["true"]}},
            "e image 127.0.0.1:9/busybox",  # there is no engine, or nobody who would give it the image
        ),
        (
            "",
            {"AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["no-such-program"]}},
            "no-such-program",
        ),
        ("import time; time.sleep(600)", {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}, ""),
    ],
)
def test_what_a_job_ends_of(account: Account, script: str, changes: dict[str, Any], reason: str) -> None:
    name = process(account, script, outputs=[("/opt/ml/processing/out", "EndOfJob")], **changes)
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == ("Failed" if reason else "Stopped"), job
    assert reason in job.get("FailureReason", "")


def test_missing_input_fails_in_words(account: Account) -> None:
    name = process(account, "", [read(f"s3://{BUCKET}/nowhere/", "/opt/ml/processing/data")])
    job = processed(account, name)
    assert "No S3 objects found under S3 URL" in job["FailureReason"]


def test_output_that_the_role_may_not_write_fails_in_words(account: Account) -> None:
    name = process(
        account,
        "open('/opt/ml/processing/out/x', 'w').close()",
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": "out",
                    "S3Output": {
                        "S3Uri": "s3://no-such-bucket-at-all/x",
                        "LocalPath": "/opt/ml/processing/out",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    )
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert "Failed to upload output to s3://no-such-bucket-at-all/x" in job["FailureReason"]


def test_an_isolated_job_reaches_nobody(account: Account) -> None:
    script = """
import os, socket
assert "AWS_ENDPOINT_URL" not in os.environ
try: socket.create_connection(("127.0.0.1", PORT), 2)
except OSError: pass
else: raise SystemExit("reached")
""".replace("PORT", account.server.url.rpartition(":")[2])
    name = process(account, script, NetworkConfig={"EnableNetworkIsolation": True})
    assert processed(account, name)["ProcessingJobStatus"] == "Completed", described(account, name)


def test_isolated_and_encrypted_instances_meet_and_reach_nobody_else(account: Account) -> None:
    script = """
import json, socket, time
me = json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"]
if me == "algo-1":
    with socket.create_server(("algo-1", 5000)) as door: door.accept()[0].sendall(b"hello")
else:
    for _ in range(600):
        try: met = socket.create_connection(("algo-1", 5000), 1)
        except OSError: time.sleep(0.1)
        else: break
    assert met.recv(5) == b"hello"
try: socket.create_connection(("127.0.0.1", PORT), 2)
except OSError: pass
else: raise SystemExit("reached")
""".replace("PORT", account.server.url.rpartition(":")[2])
    network = {
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    }
    name = process(account, script, NetworkConfig=network, ProcessingResources=cluster(2))
    job = processed(account, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert job["NetworkConfig"] == network
    assert any("VpcConfig is kept and described" in line for line in lines(account, name))

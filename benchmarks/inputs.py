"""How long a training job's input takes to be ready, and how fast it flows.

    python -m benchmarks.inputs [--gib 10] [--small 10000]

Objects of 1 GiB, copied within S3, in each input mode: the job's Downloading stage, and CreateTrainingJob's answer to
the first line of user code, beside a job without input.  Then one epoch through a pipe, and many small objects.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.jobs import IMAGE, archive
from benchmarks.server import Clients, running_server

BUCKET = "benchmark-inputs"
GIB = 1 << 30
SCRIPT = """
import os, time
print(f"first_line={time.time():.6f};", flush=True)
began, total = time.time(), 0
channel = "/opt/ml/input/data/train"
if os.path.exists(channel + "_0"):
    buffer = bytearray(1 << 20)
    with open(channel + "_0", "rb", buffering=0) as pipe:
        while count := pipe.readinto(buffer):
            total += count
elif os.path.exists(channel):
    total = sum(entry.stat().st_size for entry in os.scandir(channel))
print(f"bytes={total}; seconds={time.time() - began:.6f};", flush=True)
"""


def create(clients: Clients, name: str, prefix: str, mode: str) -> float:
    """Returns when CreateTrainingJob was answered; without ``prefix`` the job has no input."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}}
    clients.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=clients.role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": mode},
        HyperParameters={
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(f"s3://{BUCKET}/code.tar.gz"),
        },
        **({"InputDataConfig": [{"ChannelName": "train", "DataSource": source}]} if prefix else {}),
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 50},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    return time.time()


def run(clients: Clients, name: str, prefix: str, mode: str = "File") -> None:
    """One job; prints what it took."""
    accepted = create(clients, name, prefix, mode)
    while True:
        job = clients.sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            break
        time.sleep(0.1)
    if job["TrainingJobStatus"] != "Completed":
        raise SystemExit(f"{name}: {job['FailureReason']}")
    (stage,) = [each for each in job["SecondaryStatusTransitions"] if each["Status"] == "Downloading"]
    taken = (stage["EndTime"] - stage["StartTime"]).total_seconds()
    lines = printed(clients, name)
    first = float(lines["first_line"]) - accepted
    seen, seconds = int(lines["bytes"]), float(lines["seconds"])
    flow = f", {seen / seconds / 1e6:,.0f} MB/s" if mode == "Pipe" else ""
    print(f"{name}: downloading {taken:.3f} s, first line after {first:.3f} s, {seen:,} bytes{flow}", flush=True)


def printed(clients: Clients, name: str) -> dict[str, str]:
    """What the script printed, as name → value."""
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = clients.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    events: list[dict[str, Any]] = clients.logs.get_log_events(
        logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    words = " ".join(event["message"] for event in events).replace("; ", ";").split(";")
    pairs = [word.split()[-1].split("=") for word in words if "=" in word]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gib", type=int, default=10)
    parser.add_argument("--small", type=int, default=10_000)
    options = parser.parse_args()
    with running_server() as server:
        clients = server.clients()
        clients.s3.create_bucket(Bucket=BUCKET)
        clients.s3.put_object(Bucket=BUCKET, Key="code.tar.gz", Body=archive({"train.py": SCRIPT.encode()}))
        clients.s3.put_object(Bucket=BUCKET, Key="large/0", Body=bytes(GIB))
        for number in range(1, options.gib):
            source = {"Bucket": BUCKET, "Key": "large/0"}
            clients.s3.copy_object(Bucket=BUCKET, Key=f"large/{number}", CopySource=source)
        with ThreadPoolExecutor(4) as threads:
            list(
                threads.map(
                    lambda number: clients.s3.put_object(Bucket=BUCKET, Key=f"small/{number}", Body=b"x"),
                    range(options.small),
                )
            )
        run(clients, "no-input", "")
        for mode in ("File", "FastFile", "Pipe"):
            run(clients, f"{options.gib}-GiB-{mode}", "large/", mode)
        run(clients, f"{options.small}-small-objects", "small/")
        print("bar: 10 GB ready within 1 s")


if __name__ == "__main__":
    main()

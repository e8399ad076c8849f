"""Asynchronous inference: how soon 1,000 small requests are accepted and answered, how long one waits at an idle
endpoint, and what a large one costs in memory.

    python -m benchmarks.asynchronous [--requests 1000] [--megabytes 128]

The load is one process with 16 connections that repeats one signed request; its input is an object of a few bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.load import resident_mb
from benchmarks.report import Finding
from benchmarks.server import Clients, Server, running_server, wildsage
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Headers, Request

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "asynchronous"
SCRIPT = """
def model_fn(folder): return 1
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept): return prediction
"""
CONNECTIONS = 16
IDLE = 50
_TICK = os.sysconf("SC_CLK_TCK")


def deploy(clients: Clients, names: tuple[str, ...]) -> None:
    """Endpoints of one model, in service."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(SCRIPT)
        tar.addfile(member, io.BytesIO(SCRIPT.encode()))
    clients.s3.create_bucket(Bucket=BUCKET)
    clients.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=packed.getvalue())
    clients.s3.put_object(Bucket=BUCKET, Key="input", Body=b"1,2,3", ContentType="text/csv")
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"},
    }
    clients.sagemaker.create_model(ModelName="echo", ExecutionRoleArn=clients.role, PrimaryContainer=container)
    for name in names:
        variant = {"VariantName": "all", "ModelName": "echo", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        clients.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[variant],
            AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/{name}"}},
        )
        clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        clients.sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )


def signed(server: Server, path: str) -> Headers:
    """The headers of one invocation."""
    environment = server.environment
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    request = AWSRequest("POST", server.url + path, {"X-Amzn-SageMaker-InputLocation": f"s3://{BUCKET}/input"}, b"")
    SigV4Auth(Credentials(*(environment[key] for key in keys)), "sagemaker", "us-east-1").add_auth(request)
    found = [(name.lower(), str(value)) for name, value in request.headers.items()]
    return [("host", urlsplit(server.url).netloc), *found, ("content-length", "0")]


async def accepted(server: Server, endpoint: str, count: int) -> float:
    """Seconds until all were accepted."""
    path = f"/endpoints/{endpoint}/async-invocations"
    headers, client, left = signed(server, path), Client(), iter(range(count))
    address = f"tcp:{urlsplit(server.url).netloc}"

    async def send() -> None:
        for _ in left:
            answer = await client.send(address, Request("POST", path, list(headers), BytesBody()))
            if answer.status != 202:
                raise RuntimeError(f"{answer.status}: {answer.body!r}")

    began = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return time.perf_counter() - began


def answers(clients: Clients, endpoint: str) -> int:
    pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{endpoint}/")
    return sum(page["KeyCount"] for page in pages)


def await_answers(clients: Clients, endpoint: str, count: int) -> None:
    while answers(clients, endpoint) < count:
        time.sleep(0.02 if count < IDLE else 0.3)  # a list of many costs the server something, too


def waited(server: Server, endpoint: str) -> tuple[float, float]:
    """Median and longest TimeInBacklog, in milliseconds."""
    environment = server.environment
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
    session = boto3.Session(*(environment.get(name) for name in names))
    cloudwatch = session.client("cloudwatch", endpoint_url=server.url)
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "all"}]
    now = datetime.now(UTC)
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="TimeInBacklog",
        Dimensions=dimensions,
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        ExtendedStatistics=["p50", "p100"],
    )["Datapoints"][-1]["ExtendedStatistics"]
    return found["p50"] / 1e3, found["p100"] / 1e3


def control(server: Server) -> int:
    status = json.loads(wildsage("status", "--json", data=server.data))
    return int(status["processes"]["control"])


def spent(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) / _TICK for each in fields[11:13])


def resident(pid: int) -> float:
    """The most it ever had, in MB."""
    return resident_mb(pid, "VmHWM")


def burst(server: Server, clients: Clients, count: int) -> list[Finding]:
    pid = control(server)
    before, began = spent(pid), time.perf_counter()
    taken = asyncio.run(accepted(server, "burst", count))
    await_answers(clients, "burst", count)
    whole, cost = time.perf_counter() - began, spent(pid) - before
    return [
        Finding(f"{count:,} requests accepted", f"{taken:.2f} s", "< 2 s", taken < 2),
        Finding(f"{count:,} requests answered", f"{whole:.2f} s", "all of them"),
        Finding("control's processor time, a request", f"{cost / count * 1e3:.2f} ms"),
    ]


def idle(server: Server, clients: Clients) -> Finding:
    for number in range(1, IDLE + 1):
        clients.runtime.invoke_endpoint_async(EndpointName="idle", InputLocation=f"s3://{BUCKET}/input")
        await_answers(clients, "idle", number)
    middle, longest = waited(server, "idle")
    figure = f"{middle:.1f} ms (longest {longest:.1f} ms)"
    return Finding("wait in the queue of an idle endpoint, median", figure, "< 20 ms", middle < 20)


def large(server: Server, clients: Clients, megabytes: int) -> Finding:
    clients.s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(megabytes << 20), ContentType="application/x-npy")
    pid = control(server)
    before, began = resident(pid), time.perf_counter()
    clients.runtime.invoke_endpoint_async(EndpointName="large", InputLocation=f"s3://{BUCKET}/large")
    await_answers(clients, "large", 1)
    figure = f"{resident(pid) - before:+.0f} MB in {time.perf_counter() - began:.1f} s"
    return Finding(f"control's memory for {megabytes} MB in and out", figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=128)
    options = parser.parse_args()
    with running_server() as server:
        clients = server.clients()
        deploy(clients, ("burst", "idle", "large"))
        asyncio.run(accepted(server, "burst", 20))
        await_answers(clients, "burst", 20)
        clients.s3.delete_objects(
            Bucket=BUCKET,
            Delete={
                "Objects": [
                    {"Key": each["Key"]}
                    for each in clients.s3.list_objects_v2(Bucket=BUCKET, Prefix="burst/")["Contents"]
                ]
            },
        )
        findings = [
            idle(server, clients),
            *burst(server, clients, options.requests),
            large(server, clients, options.megabytes),
        ]
    for finding in findings:
        print(finding)
    return 0 if all(finding.met for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())

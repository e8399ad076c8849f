"""Data capture of a real server whose processes are killed: every record arrives, once."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, await_endpoint, deploy
from tests.e2e.killing import gone
from tests.e2e.test_routers import ECHO, replaced
from tests.waiting import wait_until

REQUESTS, THREADS, KILLS = 2000, 8, 3
PATIENCE = 120.0
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": f"s3://{BUCKET}/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Iterator[Server]:
    found = start_server(short_directory / "capture", "--routers", "2")
    deploy(found, "echo", ECHO)
    sagemaker = found.client("sagemaker")
    config = sagemaker.describe_endpoint_config(EndpointConfigName="echo")
    sagemaker.create_endpoint_config(
        EndpointConfigName="captured", ProductionVariants=config["ProductionVariants"], DataCaptureConfig=CAPTURE
    )
    sagemaker.update_endpoint(EndpointName="echo", EndpointConfigName="captured")
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName="echo")["EndpointConfigName"] == "captured", PATIENCE)
    await_endpoint(found, "echo", PATIENCE)
    yield found
    found.stop()


def records(server: Server) -> list[dict[str, Any]]:
    """What lies in S3."""
    s3 = server.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="captured/echo/one/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def inputs(server: Server) -> Counter[str]:
    return Counter(each["captureData"]["endpointInput"]["data"] for each in records(server))


def spooled(server: Server) -> list[Path]:
    return list((server.data / "captured").glob("*"))


def test_each_of_2000_requests_is_captured_once_however_often_control_is_killed(server: Server) -> None:
    answered: Counter[str] = Counter()
    done = threading.Semaphore(0)

    def work(first: int) -> None:
        runtime = server.client("sagemaker-runtime")
        for number in range(first, REQUESTS, THREADS):
            body = f"{number}".encode()
            answer = runtime.invoke_endpoint(EndpointName="echo", Body=body, ContentType="text/csv")
            answered[answer["Body"].read().decode()] += 1
            done.release()

    threads = [threading.Thread(target=work, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        for _ in range(REQUESTS // (KILLS + 1)):
            assert done.acquire(timeout=PATIENCE)
        before = server.status["processes"]["control"]
        os.kill(before, signal.SIGKILL)
        wait_until(partial(gone, before))
        wait_until(partial(_back, server, before), PATIENCE)
    for thread in threads:
        thread.join()
    assert answered.total() == REQUESTS
    wait_until(lambda: not spooled(server), PATIENCE)
    found = inputs(server)
    assert found.total() == REQUESTS
    assert found == answered
    for each in records(server):
        sides = each["captureData"]
        assert sides["endpointOutput"]["data"] == sides["endpointInput"]["data"]
    assert len({each["eventMetadata"]["eventId"] for each in records(server)}) == REQUESTS


def _back(server: Server, before: int) -> bool:
    return int(server.status["processes"].get("control", before)) != before


def test_what_a_killed_router_has_written_arrives(server: Server) -> None:
    wanted = {f"of the killed {number}" for number in range(20)}
    for text in wanted:
        assert invoke(server, text) == text

    def kept() -> bool:
        there = b"".join(map(_content, spooled(server))).decode()
        arrived = inputs(server)
        return all(text in arrived or f'"{text}"' in there for text in wanted)

    wait_until(kept, PATIENCE)
    for name in ("router", "router-1"):
        before = server.status["processes"][name]
        os.kill(before, signal.SIGKILL)
        wait_until(partial(gone, before))
        wait_until(partial(replaced, server, name, before), PATIENCE)
    wait_until(lambda: wanted <= set(inputs(server)) and not spooled(server), PATIENCE)
    assert max(inputs(server).values()) == 1


def invoke(server: Server, text: str) -> str:
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="echo", Body=text.encode(), ContentType="text/csv")
    read: bytes = answer["Body"].read()
    return read.decode()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # shipped meanwhile

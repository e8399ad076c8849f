"""Jobs and endpoints while processes of the server are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, start_server
from tests.e2e.jobs import await_endpoint, deploy, described, invoke, invoke_when_ready, log_of, train
from tests.e2e.killing import kill
from tests.waiting import wait_until

ECHO = """
import json
def model_fn(folder): return "model"
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return {"pid": __import__("os").getpid(), "sum": sum(data)}
def output_fn(prediction, accept): return json.dumps(prediction)
"""
# Writes lines for three seconds.
WRITING = """
import pathlib, time
for number in range(150):
    print(f"line {number}", flush=True)
    time.sleep(0.02)
pathlib.Path("/opt/ml/model/model.txt").write_text("trained")
"""
ENDLESS = """
import time
print("begun", flush=True)
time.sleep(600)
"""


@pytest.fixture
def data(short_directory: Path, request: pytest.FixtureRequest) -> Path:
    name: str = request.node.name
    return short_directory / name[5:25]


@pytest.fixture
def started(data: Path) -> Iterator[Server]:
    found = start_server(data)
    yield found
    found.stop()


def processes_of(mark: str) -> list[int]:
    """Processes whose command line or environment names ``mark``."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in text:
                found.append(int(folder.name))
    return found


def test_a_job_goes_on_while_control_is_killed_and_no_line_is_lost(started: Server) -> None:
    train(started, "adopted", WRITING)
    wait_until(lambda: "line 5" in log_of(started, "adopted"), 60)
    kill(started.status["processes"]["control"])
    wait_until(lambda: described(started, "adopted")["TrainingJobStatus"] == "Completed", 60)
    lines = [line for line in log_of(started, "adopted").splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert len(lines) == 150


def test_an_endpoint_answers_while_control_is_killed_and_after(started: Server) -> None:
    deploy(started, "steady", ECHO)
    first = invoke(started, "steady", b"[1, 2]")
    assert b'"sum": 3' in first
    kill(started.status["processes"]["control"])
    assert invoke(started, "steady", b"[1, 2]") == first
    wait_until(lambda: started.client("sagemaker").describe_endpoint(EndpointName="steady"))
    await_endpoint(started, "steady")
    assert invoke(started, "steady", b"[1, 2]") == first, "the instance was started anew"
    started.client("sagemaker").delete_endpoint(EndpointName="steady")


def test_everything_killed_with_an_endpoint_and_a_job_running(data: Path) -> None:
    first = start_server(data)
    deploy(first, "back", ECHO)
    train(first, "ended", ENDLESS)
    wait_until(lambda: "begun" in log_of(first, "ended"), 60)
    processes = [first.process.pid, *first.status["processes"].values()]
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    first.stop()
    second = start_server(data)
    try:
        await_endpoint(second, "back")
        assert b'"sum": 6' in invoke(second, "back", b"[1, 2, 3]")
        assert described(second, "ended")["TrainingJobStatus"] == "InProgress", "its processes live: it is adopted"
        second.client("sagemaker").stop_training_job(TrainingJobName="ended")
        wait_until(lambda: described(second, "ended")["TrainingJobStatus"] == "Stopped", 60)
    finally:
        second.stop()
    assert wait_until(lambda: not processes_of(str(data)))


def test_a_stop_ends_jobs_and_the_next_start_says_so(data: Path) -> None:
    first = start_server(data)
    deploy(first, "again", ECHO)
    train(first, "lost", ENDLESS)
    wait_until(lambda: "begun" in log_of(first, "lost"), 60)
    first.stop()
    assert wait_until(lambda: not processes_of(str(data)))
    second = start_server(data)
    try:
        await_endpoint(second, "again")
        assert b'"sum": 1' in invoke_when_ready(second, "again", b"[1]")
        wait_until(lambda: described(second, "lost")["TrainingJobStatus"] != "InProgress", 60)
        found = described(second, "lost")
        assert found["TrainingJobStatus"] == "Failed"
        assert found["FailureReason"]
    finally:
        second.stop()

"""Training jobs in an engine's containers: several hosts, a stop in time, checkpoints, a channel that streams."""

from __future__ import annotations

import time

from tests.byoc_images import Images
from tests.conftest import Server
from tests.e2e.containers import INSTANCE, begin, end, iris, trained
from tests.e2e.jobs import BUCKET, log_of

_MEET = """#!/usr/bin/env python3
import json, socket, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
first, host = config["hosts"][0], config["current_host"]
assert config["network_interface_name"] in [name for _, name in socket.if_nameindex()], socket.if_nameindex()
if host == first:
    with socket.create_server(("", 7777)) as server:
        connection, _ = server.accept()
        print("heard", connection.recv(100).decode(), flush=True)
else:
    for attempt in range(600):
        try:
            socket.create_connection((first, 7777), 1).sendall(f"{host} at {socket.gethostname()}".encode())
            break
        except OSError:
            time.sleep(0.1)
    else:
        raise SystemExit("nobody listens")
"""


def test_hosts_meet_by_name(server: Server, images: Images) -> None:
    two = {"InstanceType": INSTANCE, "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = trained(server, "byoc-two", images.small(train=_MEET), ResourceConfig=two)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert "heard algo-2 at algo-2" in log_of(server, "byoc-two")


def test_traffic_that_cannot_be_encrypted_is_refused_by_name(server: Server, images: Images) -> None:
    two = {"InstanceType": INSTANCE, "InstanceCount": 2, "VolumeSizeInGB": 1}
    image = images.small(train=_MEET)
    job = trained(server, "byoc-sealed", image, ResourceConfig=two, EnableInterContainerTrafficEncryption=True)
    assert "EnableInterContainerTrafficEncryption" in job["FailureReason"]


def test_a_job_that_is_stopped_saves_what_it_has(server: Server, images: Images) -> None:
    waiting = "trap 'touch /opt/ml/model/saved; echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    begin(server, "byoc-stopped", images.base, "sh", "-c", waiting)
    deadline = time.monotonic() + 120
    while "ready" not in log_of(server, "byoc-stopped"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    server.client("sagemaker").stop_training_job(TrainingJobName="byoc-stopped")
    job = end(server, "byoc-stopped")
    assert job["TrainingJobStatus"] == "Stopped", job
    assert "bye" in log_of(server, "byoc-stopped")
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("model.tar.gz")


def test_checkpoints_and_a_pipe(server: Server, images: Images) -> None:
    """In the folder that CheckpointConfig names, and a channel in Pipe mode as a named pipe."""
    copy = "set -e; cat /opt/ml/input/data/training_0 | wc -l | tee /opt/ml/checkpoints/lines"
    channel = {**iris(server), "InputMode": "Pipe"}
    saved = {"S3Uri": f"s3://{BUCKET}/byoc-checkpoints"}
    job = trained(
        server, "byoc-piped", images.base, "sh", "-c", copy, InputDataConfig=[channel], CheckpointConfig=saved
    )
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    found = server.client("s3").get_object(Bucket=BUCKET, Key="byoc-checkpoints/lines")["Body"].read()
    assert found.strip() == b"150"

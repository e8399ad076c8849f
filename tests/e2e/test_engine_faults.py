"""Jobs in a container engine while control is killed and the engine stops."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, ConnectionError

from tests.conftest import Server, start_server
from tests.container_engine import Dockerd
from tests.e2e.containers import begin, over
from tests.e2e.jobs import described, log_of
from tests.e2e.killing import end_control

# Says what it reaches of the server that started it, then goes on until it is told to end.
_PROGRAM = """
import os, time, urllib.request
for name, path in (("AWS_ENDPOINT_URL", "/_wildsage/health"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")):
    with urllib.request.urlopen(os.environ[name] + path) as answer: print(name, answer.status, flush=True)
while not os.path.exists("/opt/ml/model/go"): time.sleep(0.05)
print("done", flush=True)
"""


_SAID = ["AWS_ENDPOINT_URL 200", "AWS_CONTAINER_CREDENTIALS_FULL_URI 200"]
_PATIENCE = 120.0


def _begun(server: Server, name: str, image: str) -> Path:
    """A job whose program has reached the server; the file that it waits for."""
    begin(server, name, image, "python3", "-c", "import os; exec(os.environ['CODE'])", Environment={"CODE": _PROGRAM})
    deadline = time.monotonic() + _PATIENCE
    while log_of(server, name).splitlines()[-2:] != _SAID:
        assert time.monotonic() < deadline, (described(server, name), log_of(server, name))
        time.sleep(0.1)
    return next(server.data.glob("instances/**/ml/model")) / "go"


def test_control_is_killed_and_the_engine_stops(dockerd: Dockerd, debian: str, short_directory: Path) -> None:
    address = {"DOCKER_HOST": f"unix://{dockerd.socket}"}
    server = start_server(short_directory / "engine", "--ephemeral", variables=address)
    try:
        go = _begun(server, "adopted", debian)
        end_control(server)
        go.touch()
        assert over(lambda: _seen(server, "adopted"), "TrainingJobStatus")["TrainingJobStatus"] == "Completed"
        dockerd.stop()
        dockerd.start()  # without live-restore: its end is that of its containers
        _begun(server, "stopped", debian)
        dockerd.stop()
        ended = over(lambda: _seen(server, "stopped"), "TrainingJobStatus")
        assert ended["FailureReason"] == (
            "InternalServerError: The training container was lost: the container engine stopped while the container "
            "ran. Please create the job again."
        )
        dockerd.start()
    finally:
        server.stop()


def _seen(server: Server, name: str) -> dict[str, Any]:
    """The job as it is described, also while control comes back."""
    try:
        return described(server, name)
    except (ClientError, ConnectionError):
        return {"TrainingJobStatus": "InProgress"}

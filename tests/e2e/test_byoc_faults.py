"""Images of one's own that cannot be had, do not start, or misbehave: it is told in words, and nothing stays."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.byoc_images import Images
from tests.conftest import Server, start_server
from tests.e2e.containers import ask, begin, end, endpoint, model, processed, served
from tests.e2e.jobs import BUCKET, log_lines, log_of

_ASLEEP = "#!/bin/sh\nexec sleep 1000\n"
_DEAF = """#!/usr/bin/env python3
import socket, time
listener = socket.create_server(("", 8080))
time.sleep(1000)
"""
_ANSWERS = """#!/usr/bin/env python3
import http.server, os, signal, socket, sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # by itself process 1 ignores it, and has 30 seconds

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        try:
            socket.create_connection(("198.41.0.4", 53), 3).close()
            told = "outside"
        except OSError as error:
            told = f"inside {sorted(name for name in os.environ if name.startswith('AWS_'))}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(told.encode())

http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module", autouse=True)
def silent(server: Server, images: Images) -> Iterator[None]:
    """Endpoints whose containers never answer; they must be given a minute, in which the other tests go on."""
    for name, program in (("byoc-not-bound", _ASLEEP), ("byoc-not-accepted", _DEAF)):
        model(server, name, images.small(serve=program))
        endpoint(server, name, ContainerStartupHealthCheckTimeoutInSeconds=60)
    yield
    sagemaker = server.client("sagemaker")
    for each in sagemaker.list_endpoints(NameContains="byoc-")["Endpoints"]:
        sagemaker.delete_endpoint(EndpointName=each["EndpointName"])
    # Nothing of them is left in the engine. Other tests use it, too, so it is asked for this server's folders.
    asked = [*images.docker, "ps", "--all", "--format", '{{.Label "wildsage.directory"}}']
    deadline = time.monotonic() + 120
    while str(server.data) in (left := subprocess.run(asked, capture_output=True, text=True, check=True).stdout):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_how_a_container_ends_is_told(server: Server, images: Images) -> None:
    programs = {
        "byoc-exit-1": ("echo the last words; exit 1", "the last words, exit code: 1"),
        "byoc-exit-137": ("sh -c 'kill -KILL $$'; exit $?", "exit code: 137"),
        "byoc-exit-139": ("sh -c 'kill -SEGV $$'; exit $?", "exit code: 139"),
        "byoc-failure": ("echo why > /opt/ml/output/failure; exit 2", "AlgorithmError: why, exit code: 2"),
    }
    for name, (program, _) in programs.items():
        begin(server, name, images.base, "sh", "-c", program)
    for name, (_, words) in programs.items():
        job = end(server, name)
        assert job["TrainingJobStatus"] == "Failed" and words in job["FailureReason"], job["FailureReason"]


def test_out_of_memory(server: Server, images: Images) -> None:
    hungry = "x = [bytearray(1 << 26) for _ in iter(int, 1)]"
    small = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    begin(server, "byoc-hungry", images.base, "python3", "-c", hungry, ResourceConfig=small)
    assert "ran out of memory (ml.t3.medium)" in end(server, "byoc-hungry")["FailureReason"]


def test_programs_that_cannot_be_started(server: Server, images: Images) -> None:
    begin(server, "byoc-no-program", images.base, "no-such-program")
    begin(server, "byoc-not-executable", images.base, "/etc/passwd")
    begin(server, "byoc-foreign", images.foreign())
    missing, forbidden = end(server, "byoc-no-program"), end(server, "byoc-not-executable")
    assert "'docker run --entrypoint no-such-program <image>'" in missing["FailureReason"]
    assert "executable file not found" in missing["FailureReason"]
    assert "permission denied" in forbidden["FailureReason"]
    foreign = end(server, "byoc-foreign")["FailureReason"]
    assert foreign.startswith("ClientError: The image wildsage-test/foreign:1 is for the architecture s390x")
    images.remove("wildsage-test/foreign:1")


def test_a_model_server_that_ends(server: Server, images: Images) -> None:
    model(server, "byoc-ends", images.small(serve="#!/bin/sh\necho no model here\nexit 3\n"))
    endpoint(server, "byoc-ends")
    reason = served(server, "byoc-ends")["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert "It ended with exit code 3. Its log ends: " in reason and "no model here" in reason


class _Registry(BaseHTTPRequestHandler):
    """Has nothing, and asks for a password where it is told to."""

    def do_GET(self) -> None:
        private = "/secret/" in self.path
        self.send_response(401 if private else 200 if self.path == "/v2/" else 404)
        if private:
            self.send_header("WWW-Authenticate", 'Basic realm="here"')
        code = "UNAUTHORIZED" if private else "MANIFEST_UNKNOWN"
        body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_pulls_that_are_refused(server: Server, images: Images) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as registry:
        threading.Thread(target=registry.serve_forever).start()
        place = f"127.0.0.1:{registry.server_port}"
        begin(server, "byoc-unknown", f"{place}/unknown:1")
        begin(server, "byoc-denied", f"{place}/secret:1")
        begin(server, "byoc-own-unknown", "000000000000.dkr.ecr.us-east-1.amazonaws.com/not-pushed:1")
        unknown, denied = end(server, "byoc-unknown")["FailureReason"], end(server, "byoc-denied")["FailureReason"]
        registry.shutdown()
    assert unknown.startswith(f"ClientError: Cannot pull the image {place}/unknown:1: the registry has no such image")
    assert denied.startswith(f"ClientError: Cannot pull the image {place}/secret:1: the registry does not accept")
    begin(server, "byoc-unreachable", f"{place}/unknown:1")
    assert "its registry cannot be reached" in end(server, "byoc-unreachable")["FailureReason"]
    own = end(server, "byoc-own-unknown")["FailureReason"]
    assert "has no such image, and the container engine neither. Push it" in own


def test_without_an_engine(tmp_path: Path, images: Images) -> None:
    started = start_server(tmp_path / "data", variables={"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"})
    try:
        begin(started, "no-engine", "mine:1")
        reason = end(started, "no-engine")["FailureReason"]
    finally:
        started.stop()
    assert reason.startswith("ClientError: The image mine:1 cannot be had here. It is none of AWS's framework images")
    assert "There is no container engine to run it: " in reason


def test_network_isolation_and_vpc(server: Server, images: Images) -> None:
    """An isolated container reaches nobody and has no credentials, and still answers."""
    image = images.small(serve=_ANSWERS)
    vpc = {"SecurityGroupIds": ["sg-0a1b2c3d"], "Subnets": ["subnet-0a1b2c3d"]}
    model(server, "byoc-isolated", image, EnableNetworkIsolation=True)
    endpoint(server, "byoc-isolated")
    own = (
        "import os, urllib.request as r; print(r.urlopen(os.environ['AWS_ENDPOINT_URL'] + '/_wildsage/health').status)"
    )
    begin(server, "byoc-vpc", images.base, "python3", "-c", own, VpcConfig=vpc)
    alone = "import os, socket; print(socket.if_nameindex()); print('AWS_ENDPOINT_URL' in os.environ)"
    begin(server, "byoc-alone", images.base, "python3", "-c", alone, EnableNetworkIsolation=True)
    assert end(server, "byoc-vpc")["TrainingJobStatus"] == "Completed"
    assert "VpcConfig is kept and described" in log_of(server, "byoc-vpc")
    assert "\n200" in log_of(server, "byoc-vpc")  # this server, at its own address on loopback
    assert end(server, "byoc-alone")["TrainingJobStatus"] == "Completed"
    assert "'eth0'" not in log_of(server, "byoc-alone") and "False" in log_of(server, "byoc-alone")
    found = served(server, "byoc-isolated")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    told = ask(server, "byoc-isolated")
    assert told.startswith("inside ") and "CREDENTIALS" not in told


def test_a_processing_jobs_entry_point(server: Server, images: Images) -> None:
    """The image's own, with the job's arguments; or the job's own, without the image's CMD."""
    image = images.small(
        'ENTRYPOINT ["tell", "entry"]\nCMD ["command"]',
        tell='#!/bin/sh\necho "$@" > /opt/ml/processing/out/told; ls /opt/ml/config > /opt/ml/processing/out/config\n',
    )
    runs = {
        "byoc-own-entry": ({}, "entry command\n"),
        "byoc-own-arguments": ({"ContainerArguments": ["a", "b"]}, "entry a b\n"),
        "byoc-other-entry": ({"ContainerEntrypoint": ["tell", "other"]}, "other\n"),
    }
    for name, (changes, words) in runs.items():
        job = processed(server, name, image, **changes)
        assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
        told = server.client("s3").get_object(Bucket=BUCKET, Key=f"{name}/told")["Body"].read().decode()
        assert told == words
    config = server.client("s3").get_object(Bucket=BUCKET, Key="byoc-own-entry/config")["Body"].read().decode()
    assert config.split() == ["processingjobconfig.json", "resourceconfig.json"]


def test_containers_that_do_not_answer_in_time(server: Server) -> None:
    for name in ("byoc-not-bound", "byoc-not-accepted"):
        reason = served(server, name)["FailureReason"]
        assert "primary container for production variant one did not pass the ping health check" in reason
        assert "It was still running when the time for its start was over." in reason
        assert "runs in the container engine" in log_lines(server, f"/aws/sagemaker/Endpoints/{name}", "one/")

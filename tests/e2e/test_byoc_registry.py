"""Images that were pushed to this server run by the URI that AWS would give them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.byoc_images import Images
from tests.conftest import Server, wildsage
from tests.e2e.containers import INSTANCE, ask, begin, end, endpoint, model, served, trained
from tests.e2e.jobs import log_of
from tests.waiting import wait_until

_REPOSITORY = "byoc/pushed"
_URI = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{_REPOSITORY}"
_SERVE = """#!/usr/bin/env python3
import http.server, signal, sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # by itself process 1 ignores it, and has 30 seconds

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"%s")

http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def pushed(server: Server, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """The registry has :1 and :2, which the engine has forgotten, and a repository without any."""
    ecr = server.client("ecr")
    ecr.create_repository(repositoryName=_REPOSITORY)
    here = f"{urlsplit(server.url).netloc}/{_REPOSITORY}"
    token = server.run("aws", "ecr", "get-login-password")
    docker = ["docker", "--config", str(tmp_path_factory.mktemp("docker")), *images.docker[1:]]
    login = [*docker, "login", "--username", "AWS", "--password-stdin", here.partition("/")[0]]
    subprocess.run(login, input=token.stdout, text=True, check=True, capture_output=True)
    for tag, words in (("1", "one"), ("2", "two")):
        built = images.small(train=f"#!/bin/sh\necho {words} trains\n", serve=_SERVE % words)
        subprocess.run([*docker, "tag", built, f"{here}:{tag}"], check=True)
        subprocess.run([*docker, "push", "--quiet", f"{here}:{tag}"], check=True, capture_output=True)
        images.remove(f"{here}:{tag}")
    yield images
    for tag in ("1", "2"):
        images.remove(f"{_URI}:{tag}")
        digest = ecr.describe_images(repositoryName=_REPOSITORY, imageIds=[{"imageTag": tag}])["imageDetails"][0]
        images.remove(f"{here}@{digest['imageDigest']}")
    sagemaker = server.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName="byoc-pushed")


def test_a_pushed_image_trains_and_serves(server: Server, pushed: Images) -> None:
    job = trained(server, "byoc-pushed", f"{_URI}:1")
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    log = log_of(server, "byoc-pushed")
    assert f"Pulling the image {_URI}:1" in log and "This server's registry has it." in log and "one trains" in log
    model(server, "byoc-pushed", f"{_URI}:2")
    endpoint(server, "byoc-pushed")
    found = served(server, "byoc-pushed")
    assert found["EndpointStatus"] == "InService", found["FailureReason"]
    assert ask(server, "byoc-pushed") == "two"
    (image,) = found["ProductionVariants"][0]["DeployedImages"]
    (detail,) = server.client("ecr").describe_images(repositoryName=_REPOSITORY, imageIds=[{"imageTag": "2"}])[
        "imageDetails"
    ]
    assert (image["SpecifiedImage"], image["ResolvedImage"]) == (f"{_URI}:2", f"{_URI}@{detail['imageDigest']}")
    # The engine knows it by the name it was asked for; a second job pulls nothing.
    known = subprocess.run([*pushed.docker, "image", "inspect", f"{_URI}:1"], capture_output=True, check=False)
    assert known.returncode == 0
    trained(server, "byoc-pushed-again", f"{_URI}:1")
    assert "Pulling" not in log_of(server, "byoc-pushed-again")


def test_an_endpoint_keeps_the_image_it_was_deployed_with(server: Server, images: Images) -> None:
    """Its tag moves: instances that are added or replaced run the old image; an update takes the new one."""
    sagemaker, moving = server.client("sagemaker"), "wildsage-test/moving:now"
    one, two = (images.small(train="#!/bin/sh\n", serve=_SERVE % words) for words in ("one", "two"))

    def docker(*words: str) -> str:
        return subprocess.run([*images.docker, *words], check=True, capture_output=True, text=True).stdout

    def answers(wanted: str) -> None:
        for _ in range(10):
            assert ask(server, "byoc-moving") == wanted

    docker("tag", one, moving)
    model(server, "byoc-moving", moving)
    endpoint(server, "byoc-moving")
    assert served(server, "byoc-moving")["EndpointStatus"] == "InService"
    docker("tag", two, moving)
    weights = [{"VariantName": "one", "DesiredInstanceCount": 2}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="byoc-moving", DesiredWeightsAndCapacities=weights)
    wait_until(lambda: len(docker("ps", "--quiet", "--filter", f"ancestor={one}").split()) == 2)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="byoc-moving", WaiterConfig={"Delay": 1})
    answers("one")
    killed = docker("ps", "--quiet", "--filter", f"ancestor={one}").split()
    docker("kill", killed[0])
    wait_until(lambda: len({*docker("ps", "--quiet", "--filter", f"ancestor={one}").split()} - {killed[0]}) == 2)
    answers("one")
    sagemaker.create_endpoint_config(
        EndpointConfigName="byoc-moved",
        ProductionVariants=[
            {"VariantName": "one", "ModelName": "byoc-moving", "InstanceType": INSTANCE, "InitialInstanceCount": 1}
        ],
    )
    sagemaker.update_endpoint(EndpointName="byoc-moving", EndpointConfigName="byoc-moved")
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName="byoc-moving")["EndpointStatus"] == "InService")
    answers("two")
    sagemaker.delete_endpoint(EndpointName="byoc-moving")
    docker("rmi", moving)


def test_a_role_that_may_not_pull(server: Server, pushed: Images) -> None:
    iam = server.client("iam")
    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    role = iam.create_role(RoleName="byoc-no-pull", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    begin(server, "byoc-no-pull", f"{_URI}:1", RoleArn=role)
    reason = end(server, "byoc-no-pull")["FailureReason"]
    words = f"Access denied for repository: {_REPOSITORY} in registry ID: 000000000000. Please check if your ECR"
    assert reason.startswith(f"ClientError: {words}")


def test_people_see_what_would_run_it(server: Server, pushed: Images) -> None:
    data = ("--data", str(server.data))
    explained = wildsage("images", "explain", f"{_URI}:1", *data)
    assert explained.returncode == 0, explained.stderr
    assert "runs in the container engine. This server's registry has it." in explained.stdout
    pulled = f"{server.url.removeprefix('http://')}/{_REPOSITORY}:2"
    by_address = wildsage("images", "explain", pulled, *data)
    assert f"{pulled} runs in the container engine. This server's registry has it." in by_address.stdout
    missing = wildsage("images", "explain", f"{_URI}:3", *data)
    assert missing.returncode == 1 and "docker push" in missing.stdout
    listed = json.loads(wildsage("images", "--json", *data).stdout)
    states = {entry["name"]: entry["state"] for entry in listed}
    assert states[f"{_URI}:2"] in ("in the registry", "in the engine")
    assert pushed.base in states
    told = wildsage("doctor", *data).stdout
    assert "Container engine\n  ok  engine: " in told

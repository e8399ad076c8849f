"""Images of one's own where an ordinary user, who may use the engine, has started Wildsage."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectionError

from tests.byoc_images import Images
from tests.conftest import Server, start_server
from tests.contract.runtimes.ordinary import NOBODY, PYTHON, a_home, as_user, group_of, python_path
from tests.e2e.containers import ask, begin, end, endpoint, model, over, served
from tests.e2e.jobs import BUCKET, described, log_of
from tests.e2e.killing import end_control

# Both leave files that nobody but root may read.
_TRAIN = """#!/usr/bin/env python3
import json, os, pathlib, urllib.request
os.umask(0o077)
with urllib.request.urlopen(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]) as answer:
    print("has credentials:", sorted(json.load(answer)), flush=True)
os.mkdir("/opt/ml/model/deep")
pathlib.Path("/opt/ml/model/deep/number").write_text("42")
pathlib.Path("/opt/ml/checkpoints/state").write_text("half")
while os.environ.get("FOR_EVER"): __import__("time").sleep(1)
"""
_SERVE = """#!/usr/bin/env python3
import http.server, os
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        self.send_response(200); self.end_headers(); self.wfile.write(open("/opt/ml/model/deep/number", "rb").read())
os.makedirs("/opt/ml/output/served", 0o700, exist_ok=True)
http.server.ThreadingHTTPServer(("", 8080), Answers).serve_forever()
"""
_DONE = "has credentials: ['AccessKeyId', 'Expiration', "


class User:
    """Whose home that is, and what it takes to be that user. ``engine``: its address."""

    def __init__(self, home: Path, engine: str) -> None:
        self.data = home / "data"
        self.may, self.may_not = as_user(str(group_of(engine))), as_user()
        self.environment: Mapping[str, str] = {
            **{"HOME": str(home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "DOCKER_HOST": engine},
            **{"PYTHONPATH": python_path(), "PYTHONDONTWRITEBYTECODE": "1"},
        }

    def starts(self) -> Server:
        return start_server(self.data, variables=self.environment, python=(*self.may, PYTHON))

    def says(self, user: tuple[str, ...], *command: str) -> str:
        done = subprocess.run([*user, *command], env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


@pytest.fixture
def user(engine: str) -> Iterator[User]:
    for home in a_home():
        yield User(home, engine)


def _job(server: Server, name: str, image: str, **environment: str) -> None:
    where = {"S3Uri": f"s3://{BUCKET}/{name}/checkpoints"}
    begin(server, name, image, CheckpointConfig=where, Environment=environment)


def _asked(server: Server, name: str) -> str:
    """What the endpoint says, also while its container is replaced or control comes back."""

    def asked() -> dict[str, str]:
        try:
            return {"status": ask(server, name)}
        except (ClientError, ConnectionError) as error:
            return {"status": "", "error": str(error)}

    return str(over(asked, "status", ("",))["status"])


def _holds(images: Images, home: Path) -> list[str]:
    """The containers and networks of that home's in the engine."""
    found: list[str] = []
    for kind in ("container ls --all", "network ls"):
        command = [*images.docker, *kind.split(), "--format", '{{.ID}} {{.Label "wildsage.directory"}}']
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        found += [line for line in lines if str(home) in line]
    return found


def _kill(images: Images, home: Path) -> None:
    """Every container of that home's."""
    for each in _holds(images, home):
        subprocess.run([*images.docker, "kill", each.split()[0]], capture_output=True, check=False)


def test_images_of_ones_own_for_an_ordinary_user(user: User, images: Images) -> None:
    image = images.small(train=_TRAIN, serve=_SERVE)
    server = user.starts()
    try:
        _job(server, "ordinary", image)
        job = end(server, "ordinary")
        assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
        assert _DONE in log_of(server, "ordinary")
        checkpoint = server.client("s3").get_object(Bucket=BUCKET, Key="ordinary/checkpoints/state")
        assert checkpoint["Body"].read() == b"half"
        model(server, "ordinary", image, job["ModelArtifacts"]["S3ModelArtifacts"])
        endpoint(server, "ordinary")
        assert served(server, "ordinary")["EndpointStatus"] == "InService"
        assert ask(server, "ordinary") == "42"
        end_control(server)
        _kill(images, user.data)
        assert _asked(server, "ordinary") == "42"
        server.client("sagemaker").delete_endpoint(EndpointName="ordinary")
        _job(server, "killed", image, FOR_EVER="1")
        over(lambda: {"log": _DONE if _DONE in log_of(server, "killed") else ""}, "log", ("",))
        server.stop()
        server = user.starts()
        _kill(images, user.data)
        assert over(lambda: described(server, "killed"), "TrainingJobStatus")["TrainingJobStatus"] == "Failed"
        over(lambda: {"held": "some" if _holds(images, user.data) else "none"}, "held", ("some",))
    finally:
        server.stop()
    assert [str(each) for each in user.data.rglob("*") if each.lstat().st_uid != NOBODY] == []
    assert user.says(user.may, "rm", "-rf", str(user.data)) == ""


def test_the_doctor_tells_ordinary_users(user: User) -> None:
    doctor = (PYTHON, "-m", "wildsage.cli", "doctor", "--data", str(user.data))
    assert "your files stay yours" in user.says(user.may, *doctor)
    assert "usermod -aG docker" in user.says(user.may_not, *doctor)

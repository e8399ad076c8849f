"""Functions of container images: the image's own program, which speaks the Runtime API, in the engine."""

from __future__ import annotations

import base64
import contextlib
import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.api.lambda_.functions import Functions, until
from tests.conftest import Server, start_server
from tests.debian_image import debian_image
from tests.e2e.private_registry import small_root

RUNTIME = """
import http.client, json, os, sys, time
def ask(method, path, body=None):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/invocation/" + path, body)
    answer = connection.getresponse()
    return answer, answer.read()
print("starts", flush=True)
while True:
    head, body = ask("GET", "next")
    request, event = head.getheader("Lambda-Runtime-Aws-Request-Id"), json.loads(body)
    print("event", event, flush=True)
    if "exit" in event: os._exit(event["exit"])
    if "sleep" in event: time.sleep(event["sleep"])
    told = {"words": sys.argv[1:], "own": os.environ.get("OWN"), "at": os.getcwd()}
    told["name"] = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    ask("POST", request + "/response", json.dumps(told))
"""


@pytest.fixture(scope="module")
def image(engine: str) -> Iterator[str]:
    """Of the tests' Debian, with a runtime of its own as ENTRYPOINT and a CMD."""
    name, base = f"wildsage-lambda-{uuid.uuid4().hex[:8]}", debian_image(engine)
    recipe = f'FROM {base}\nCOPY runtime.py /\nWORKDIR /srv\nENTRYPOINT ["python3", "/runtime.py"]\nCMD ["own"]\n'
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for path, text in (("Dockerfile", recipe), ("runtime.py", RUNTIME)):
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    docker = ["docker", "--host", engine]
    subprocess.run([*docker, "build", "--tag", name, "-"], input=held.getvalue(), check=True, capture_output=True)
    yield name
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run([*docker, "rmi", "--force", name], check=True, capture_output=True)


@pytest.fixture(scope="module")
def functions(engine: str, short_directory: Path) -> Iterator[Functions]:
    """Of a server that knows the engine; it leaves nothing there."""
    server = start_server(short_directory / "images", "--ephemeral", variables={"DOCKER_HOST": engine})
    yield Functions(server)
    server.stop()
    label = f"label=wildsage.directory={server.data}"
    left = subprocess.run(
        ["docker", "--host", engine, "ps", "--all", "--quiet", "--filter", label],
        capture_output=True,
        text=True,
        check=True,
    )
    assert left.stdout == ""


def create(functions: Functions, image: str, **options: object) -> str:
    name = f"i-{uuid.uuid4().hex[:12]}"
    asked = {"Timeout": 60, "MemorySize": 256, **options}
    functions.client.create_function(
        FunctionName=name, PackageType="Image", Code={"ImageUri": image}, Role=functions.role, **asked
    )
    functions.wait(name)
    return name


def test_the_image_answers(functions: Functions, image: str) -> None:
    config = {"Command": ["a", "b"], "WorkingDirectory": "/tmp"}
    name = create(functions, image, Environment={"Variables": {"OWN": "yes"}})
    called = functions.invoke(name, {"x": 1})
    assert called.payload == {"words": ["own"], "own": "yes", "at": "/srv", "name": name}
    assert called.log[-1].startswith("REPORT")
    wanted = {"starts", "event {'x': 1}", called.log[-1]}
    until(lambda: wanted <= set(functions.messages(name)))
    described = functions.client.get_function(FunctionName=name)
    assert described["Code"]["ImageUri"] == image
    assert described["Code"]["ResolvedImageUri"].partition("@")[0] == image  # no registry has it
    functions.client.update_function_configuration(FunctionName=name, ImageConfig=config)
    functions.wait(name)
    called = functions.invoke(name)
    assert (called.payload["words"], called.payload["at"]) == (["a", "b"], "/tmp")
    died = functions.invoke(name, {"exit": 5})
    assert died.payload["errorMessage"].endswith("Runtime exited with error: exit status 5")
    functions.client.update_function_configuration(FunctionName=name, Timeout=1)
    functions.wait(name)
    assert "Task timed out after 1.00 seconds" in functions.invoke(name, {"sleep": 30}).payload["errorMessage"]
    functions.client.delete_function(FunctionName=name)


def test_an_image_whose_program_cannot_be_started(functions: Functions, engine: str, image: str) -> None:
    """AWS answers with a FunctionError; it was an error 500 of the service."""

    def failure(**config: object) -> str:
        functions.client.update_function_configuration(FunctionName=name, ImageConfig=config)
        functions.wait(name)
        called = functions.invoke(name)
        assert (called.status, called.error) == (200, "Unhandled")
        assert called.payload["errorType"] == "Runtime.InvalidEntrypoint"
        assert called.log[-1].startswith("REPORT RequestId: ")
        assert called.log[-3] == "Runtime.InvalidEntrypoint"
        assert called.log[-4] == called.payload["errorMessage"]
        request_id, _, said = str(called.payload["errorMessage"]).partition(" Error: ")
        assert called.log[-5].startswith(f"START {request_id} ")
        return said

    name = create(functions, image)
    assert failure(EntryPoint=["/no/entry.sh"]) == "fork/exec /no/entry.sh: no such file or directory"
    assert failure(EntryPoint=["/runtime.py"]) == "fork/exec /runtime.py: permission denied"
    assert failure(EntryPoint=["app.handler"]) == "Couldn't find valid bootstrap(s): [app.handler]"
    functions.client.update_function_configuration(FunctionName=name, ImageConfig={})
    functions.wait(name)
    assert functions.invoke(name).payload["name"] == name
    functions.client.delete_function(FunctionName=name)
    bare = f"wildsage-bare-{uuid.uuid4().hex[:8]}"
    subprocess.run(["docker", "--host", engine, "import", "-", bare], input=small_root(), check=True)
    try:
        name = create(functions, bare)
        assert failure() == "Couldn't find valid bootstrap(s): []"
        functions.client.delete_function(FunctionName=name)
    finally:
        subprocess.run(["docker", "--host", engine, "rmi", "--force", bare], check=True)


def test_an_image_that_was_pushed_here(functions: Functions, engine: str, tmp_path: Path) -> None:
    """To the server's own registry; the engine has it no more, and pulls it."""
    server, name = functions.server, f"pushed-{uuid.uuid4().hex[:8]}"
    ecr = server.client("ecr")
    ecr.create_repository(repositoryName=name)
    login = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    place, uri = server.url.removeprefix("http://"), f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{name}"

    def docker(*words: str, given: bytes = b"") -> str:
        command = ["docker", "--host", engine, "--config", str(tmp_path), *words]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode()

    docker("login", "-u", "AWS", "--password-stdin", place, given=base64.b64decode(login).partition(b":")[2])
    docker("import", "-", f"{place}/{name}:1", given=small_root())
    docker("push", f"{place}/{name}:1")
    docker("rmi", f"{place}/{name}:1")
    try:
        described = functions.client.get_function(FunctionName=create(functions, f"{uri}:1"))
        digest = ecr.describe_images(repositoryName=name)["imageDetails"][0]["imageDigest"]
        assert described["Code"]["ResolvedImageUri"] == f"{uri}@{digest}"
        assert described["Configuration"]["CodeSha256"] == digest.removeprefix("sha256:")
        with pytest.raises(ClientError, match=f"Source image {uri}:2 does not exist"):
            create(functions, f"{uri}:2")
    finally:
        docker("rmi", "--force", *docker("images", "--quiet", f"{place}/{name}").split())


def test_an_image_that_cannot_be_had(functions: Functions) -> None:
    name = f"i-{uuid.uuid4().hex[:12]}"
    functions.client.create_function(
        FunctionName=name, PackageType="Image", Code={"ImageUri": "127.0.0.1:9/none:1"}, Role=functions.role
    )
    waiter = functions.client.get_waiter("function_active_v2")
    with pytest.raises(Exception, match="Failed"):
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 1})
    found = functions.client.get_function_configuration(FunctionName=name)
    assert (found["State"], found["StateReasonCode"]) == ("Failed", "InvalidImage")
    assert "127.0.0.1:9/none:1" in found["StateReason"]
    with pytest.raises(ClientError, match="The function is in the state Failed"):
        functions.client.invoke(FunctionName=name)


def test_without_an_engine_it_is_refused_by_name(short_directory: Path) -> None:
    server: Server = start_server(
        short_directory / "no-engine", "--ephemeral", variables={"DOCKER_HOST": "tcp://none:1"}
    )
    try:
        with pytest.raises(
            ClientError, match="PackageType=Image is not supported by Wildsage: it needs a container engine"
        ):
            server.client("lambda").create_function(
                FunctionName="f", PackageType="Image", Code={"ImageUri": "any:1"}, Role=server.role
            )
    finally:
        server.stop()

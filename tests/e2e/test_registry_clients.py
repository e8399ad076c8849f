"""docker, skopeo and podman against the registry: by its address, and by the names that AWS gives it."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.api.ecr.pushing import new_repository, password_of
from tests.api.ecr.test_access import PULL, allow, user_that
from tests.conftest import Server, clean_environment
from tests.container_engine import answers, dockerd
from tests.waiting import wait_until
from wildsage.core.errors import ClientFault
from wildsage.runtimes.containers.engine import Engine

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
SECONDS = 120


def run(*command: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=environment, input=stdin, check=False
    )


def check(*command: str, stdin: str | None = None, **variables: str) -> str:
    done = run(*command, stdin=stdin, **variables)
    assert done.returncode == 0, f"{' '.join(command[:4])}: {done.stdout}{done.stderr}"
    return done.stdout


class Docker:
    """The CLI with a configuration of its own; ``images`` are removed at the end."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._variables = {"DOCKER_HOST": engine, "DOCKER_CONFIG": str(folder)}
        self.images: list[str] = []

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        return check("docker", *words, stdin=stdin, **self._variables)

    def fails(self, *words: str, stdin: str | None = None) -> str:
        """What it says."""
        done = run("docker", *words, stdin=stdin, **self._variables)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def make(self, name: str, archive: Path, *options: str) -> str:
        """The id of an image of the files of ``archive``."""
        made = self("import", *options, str(archive), name).strip()
        self.images += [name, made]
        return made

    def remove(self, name: str) -> None:
        run("docker", "rmi", "--force", name, **self._variables)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Files of an image, half a megabyte of them."""
    data = random.Random(7).randbytes(500_000)
    path = tmp_path / "files.tar"
    with tarfile.open(path, "w") as files:
        entry = tarfile.TarInfo("data")
        entry.size = len(data)
        files.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def docker(engine: str, tmp_path: Path) -> Iterator[Docker]:
    made = Docker(engine, tmp_path / "docker")
    yield made
    for name in made.images:
        made.remove(name)


def login(docker: Docker, place: str, password: str) -> None:
    docker("login", "--username", "AWS", "--password-stdin", place, stdin=password)


def test_docker_pushes_and_pulls(server: Server, docker: Docker, archive: Path) -> None:
    ecr, place = server.client("ecr"), server.url.removeprefix("http://")
    name = new_repository(ecr)
    reference = f"{place}/{name}:v1"
    image = docker.make(reference, archive)
    assert "no basic auth credentials" in docker.fails("push", reference)
    assert "401 Unauthorized" in docker.fails("login", "--username", "AWS", "--password-stdin", place, stdin="wrong")
    login(docker, place, password_of(ecr))
    assert "digest: sha256:" in docker("push", reference)
    docker.remove(reference)
    docker("pull", reference)
    assert docker("image", "inspect", "--format", "{{.Id}}", reference).strip() == image
    assert ecr.describe_images(repositoryName=name)["imageDetails"][0]["imageTags"] == ["v1"]
    nowhere = f"{place}/no/such/{uuid.uuid4().hex}:v1"
    docker("tag", reference, nowhere)
    docker.images.append(nowhere)
    assert "name unknown: The repository with name 'no/such/" in docker.fails("push", nowhere)


def test_docker_says_what_is_denied(server: Server, docker: Docker, archive: Path) -> None:
    name, place = new_repository(server.client("ecr")), server.url.removeprefix("http://")
    arn, ecr = user_that(server, allow(*PULL))
    login(docker, place, password_of(ecr))
    reference = f"{place}/{name}:v1"
    docker.make(reference, archive)
    words = docker.fails("push", reference)
    assert f"denied: User: {arn} is not authorized to perform: ecr:InitiateLayerUpload on resource: " in words


def test_docker_keeps_an_immutable_tag(server: Server, docker: Docker, archive: Path) -> None:
    ecr, place = server.client("ecr"), server.url.removeprefix("http://")
    name = new_repository(ecr, imageTagMutability="IMMUTABLE")
    login(docker, place, password_of(ecr))
    reference = f"{place}/{name}:v1"
    for number in range(2):
        docker.make(reference, archive, "--change", f"ENV NUMBER={number}")
        if number == 0:
            docker("push", reference)
    words = "tag invalid: The image tag 'v1' already exists in the"
    assert words in docker.fails("push", reference)


@pytest.fixture
def proxied(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon of its own that reaches names of AWS through the server."""
    if os.geteuid() != 0:
        pytest.skip("needs root to start a container engine")
    folder = Path("/run") / f"wildsage-proxied-{os.getpid()}"
    folder.mkdir()
    data = tmp_path_factory.mktemp("proxied")
    variables = {"HTTPS_PROXY": server.environment["HTTPS_PROXY"], "SSL_CERT_FILE": server.environment["AWS_CA_BUNDLE"]}
    bridge = f"wildsage{os.getpid()}"  # its own: without any it would take the bridge of the machine's engine away
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    options = (f"--bridge={bridge}", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs")
    with subprocess.Popen(
        dockerd(folder, data, *options),
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: answers(f"{folder}/docker.sock"))
        yield f"unix://{folder}/docker.sock"
        process.terminate()
        process.wait(60)
    subprocess.run(["ip", "link", "delete", bridge], check=False)
    subprocess.run(["rm", "-rf", str(folder), str(data)], check=False)


def test_docker_knows_the_registry_by_the_name_that_aws_gives_it(
    server: Server, proxied: str, archive: Path, tmp_path: Path
) -> None:
    ecr, docker = server.client("ecr"), Docker(proxied, tmp_path / "docker")
    name = new_repository(ecr)
    uri = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"]
    image = docker.make(f"{uri}:v1", archive)
    login(docker, HOST, password_of(ecr))
    docker("push", f"{uri}:v1")
    docker.remove(f"{uri}:v1")
    docker("pull", f"{uri}:v1")
    assert docker("image", "inspect", "--format", "{{.Id}}", f"{uri}:v1").strip() == image
    assert len(ecr.list_images(repositoryName=name)["imageIds"]) == 1


def push(server: Server, engine: str, uri: str) -> subprocess.CompletedProcess[str]:
    """``wildsage images push``."""
    command = [sys.executable, "-m", "wildsage.cli", "images", "push", uri, "--data", str(server.data)]
    environment = {**clean_environment(), "DOCKER_HOST": engine}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_an_image_is_pushed_without_a_proxy_or_a_login(
    server: Server, engine: str, docker: Docker, archive: Path
) -> None:
    ecr = server.client("ecr", region_name="eu-west-1")
    name = new_repository(ecr)
    uri = f"{HOST.replace('us-east-1', 'eu-west-1')}/{name}:v1"
    assert f"docker tag IMAGE {uri}" in push(server, engine, uri).stdout
    docker.make(uri, archive)
    done = push(server, engine, uri)
    assert (done.returncode, done.stdout) == (0, f"Pushed {uri}\n"), done.stderr
    assert ecr.list_images(repositoryName=name)["imageIds"][0]["imageTag"] == "v1"
    assert not [line for line in docker("images", "--format", "{{.Repository}}").splitlines() if line.endswith(name)][
        1:
    ]
    nowhere = f"{HOST}/no/such:v1"
    docker("tag", uri, nowhere)
    docker.images.append(nowhere)
    refused = push(server, engine, nowhere)
    assert refused.returncode == 1
    assert "aws ecr create-repository --repository-name no/such" in refused.stdout
    assert "The repository with name 'no/such' does not exist" in refused.stdout
    assert "push takes an image's name in ECR" in push(server, engine, "debian:12").stderr


def variables_of(server: Server) -> Mapping[str, str]:
    """What ``wildsage run`` gives, and where Go's programs look for authorities."""
    return {**server.environment, "SSL_CERT_FILE": server.environment["AWS_CA_BUNDLE"]}


@pytest.fixture
def storage(short_directory: Path) -> Iterator[list[str]]:
    """Options of podman for images of its own; its paths must be short."""
    folder = short_directory / "podman"
    folder.mkdir()
    yield ["--root", f"{folder}/p", "--runroot", f"{folder}/r", "--tmpdir", f"{folder}/t", "--storage-driver", "vfs"]
    subprocess.run(["rm", "-rf", str(folder)], check=False)


def test_skopeo_and_podman_by_either_name(server: Server, archive: Path, storage: list[str]) -> None:
    ecr, place = server.client("ecr"), server.url.removeprefix("http://")
    name, credentials = new_repository(ecr), f"AWS:{password_of(ecr)}"
    podman = ["podman", *storage, "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    check(*podman, "import", str(archive), f"{place}/{name}:v1")
    check(*podman, "push", "--tls-verify=false", "--creds", credentials, f"{place}/{name}:v1")
    aws = f"docker://{HOST}/{name}"
    found = check("skopeo", "inspect", "--creds", credentials, f"{aws}:v1", **variables_of(server))
    assert '"Architecture"' in found
    here = ("--src-tls-verify=false", "--src-creds", credentials, f"docker://{place}/{name}:v1")
    check("skopeo", "copy", *here, "--dest-creds", credentials, f"{aws}:v2", **variables_of(server))
    check(*podman, "pull", "--creds", credentials, f"{HOST}/{name}:v2", **variables_of(server))
    tags = {each["imageTag"] for each in ecr.list_images(repositoryName=name)["imageIds"]}
    assert tags == {"v1", "v2"}
    check("skopeo", "delete", "--creds", credentials, f"{aws}:v2", **variables_of(server))
    wrong = run("skopeo", "inspect", "--creds", "AWS:wrong", f"{aws}:v1", **variables_of(server))
    assert wrong.returncode != 0
    assert "401" in wrong.stderr or "unauthorized" in wrong.stderr.lower()


@pytest.fixture
def podman(storage: list[str], short_directory: Path) -> Iterator[str]:
    """The address of a Podman with that storage."""
    place = f"{short_directory}/podman.sock"
    with subprocess.Popen(["podman", *storage, "system", "service", "--time=0", f"unix://{place}"]) as service:
        wait_until(lambda: answers(place))
        yield f"unix://{place}"
        service.terminate()


async def test_podman_as_the_engine(server: Server, archive: Path, storage: list[str], podman: str) -> None:
    """It would have a certificate of a registry at 127.0.0.1, too, if it were not told otherwise."""
    ecr, place = server.client("ecr"), server.url.removeprefix("http://")
    name, engine = new_repository(ecr), Engine({"DOCKER_HOST": podman})
    check("podman", *storage, "import", str(archive), f"{HOST}/{name}:v1")
    assert push(server, podman, f"{HOST}/{name}:v1").stdout == f"Pushed {HOST}/{name}:v1\n"
    check("podman", *storage, "rmi", "--force", f"{HOST}/{name}:v1")
    digest = ecr.list_images(repositoryName=name)["imageIds"][0]["imageDigest"]
    reference = f"{place}/{name}@{digest}"
    assert (await engine.pull(reference, ("AWS", password_of(ecr)))).size > 500_000
    with pytest.raises(ClientFault, match="the registry does not accept these credentials"):
        await engine.pull(f"{place}/{name}:v1", ("AWS", "wrong"))
    with pytest.raises(ClientFault, match="is no name of an image"):
        await engine.find("No Name")

"""The base image of the tests: a small Debian with Python and nginx, made from Debian's own packages.

No registry is asked. Made once (about a minute) and kept: in the engine, and as an archive for the next engine.

    python -m tests.debian_image      makes it in the engine that DOCKER_HOST names, and prints its name
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container_engine import CACHE, Dockerd, locked

REPOSITORY = "wildsage-test/debian"
PACKAGES = ("ca-certificates", "python3", "python3-venv", "python3-pip", "nginx-light")
_UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


def debian_image(engine: str = "") -> str:
    """The name of the image in the engine at the address ``engine``; makes it if need be. Raises CalledProcessError."""
    archive = _place()
    name = f"{REPOSITORY}:{archive.stem.rpartition('-')[2]}"
    docker = ["docker", *(["--host", engine] if engine else [])]
    if _exists(docker, name):
        return name
    with locked("debian"):
        _made(archive)
        if not _exists(docker, name):
            change = "--change=ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            subprocess.run([*docker, "import", change, str(archive), name], check=True, stdout=subprocess.DEVNULL)
    return name


def debian_archive() -> Path:
    """The root of the image as a tar file; makes it if need be."""
    archive = _place()
    with locked("debian"):
        _made(archive)
    return archive


def _place() -> Path:
    suite, _ = _mirror()
    return CACHE / f"debian-{hashlib.sha256(repr((suite, PACKAGES, _UNUSED)).encode()).hexdigest()[:12]}.tar"


def _made(archive: Path) -> None:
    if not archive.exists():
        _make(*_mirror(), archive)


def _exists(docker: list[str], name: str) -> bool:
    return subprocess.run([*docker, "image", "inspect", name], capture_output=True, check=False).returncode == 0


def _mirror() -> tuple[str, str]:
    """The suite and the mirror that this machine has its packages from; empty: debootstrap's own choice."""
    form = ["--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Component: main"]
    for line in _output("apt-get", "indextargets", *form).splitlines():
        suite, address = line.split()
        if "-" not in suite:
            return suite, address
    return "bookworm", ""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _proxy() -> dict[str, str]:
    """apt's own, which debootstrap does not read."""
    found = _output("apt-config", "shell", "address", "Acquire::http::Proxy").strip()
    return {"http_proxy": found.removeprefix("address=").strip("'")} if found else {}


def _make(suite: str, mirror: str, archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="wildsage-debian-") as folder:
        root = Path(folder) / "root"
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        log = Path(folder) / "log"
        with log.open("w") as file:
            made = subprocess.run(
                ["debootstrap", *options, suite, str(root), *filter(None, [mirror])],
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
                env={**os.environ, **_proxy()},
            )
        if made.returncode:
            raise RuntimeError(f"debootstrap failed: {log.read_text()[-2000:]}")
        for unused in _UNUSED:
            shutil.rmtree(root / unused, ignore_errors=True)
            (root / unused).mkdir()
        subprocess.run(["tar", "--create", "--file", f"{archive}.new", "--directory", str(root), "."], check=True)
    Path(f"{archive}.new").rename(archive)


@pytest.fixture(scope="session")
def debian(engine: str) -> str:
    """The name of the base image in ``engine``."""
    if shutil.which("debootstrap") is None:
        pytest.skip("needs debootstrap: apt-get install debootstrap")
    return debian_image(engine)


@pytest.fixture
def dockerd(debian: str) -> Iterator[Dockerd]:
    """An engine that a test may stop; with the base image."""
    folder = Path(tempfile.mkdtemp(prefix="wildsage-", dir="/run"))
    own = Dockerd(folder)
    try:
        own.start("--live-restore")
        assert debian_image(f"unix://{own.socket}") == debian
        yield own
    finally:
        own.end()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
        shutil.rmtree(folder)


if __name__ == "__main__":
    print(debian_image(os.environ.get("DOCKER_HOST", "")))

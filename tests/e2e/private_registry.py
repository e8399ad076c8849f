"""A private registry for tests (Debian's docker-registry, with htpasswd), and an image in it and nowhere else."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD = "reader", "secret"
_HTPASSWD = f"{USER}:$2y$05$Vv7MJN7Fn0rfgWj0vnQgxeZzSXRIOW1Owd4Bfdocl7EGZif8DPGF2\n"  # htpasswd -nbB reader secret
_CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}
http: {{addr: "127.0.0.1:{port}", secret: a}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
"""
_TRAIN = b"#!/bin/sh\necho trained in an image of a private registry\n"


@dataclass
class Registry:
    """``image``: the name of an image whose ``train`` says a line; the engine at ``engine`` does not have it."""

    engine: str
    host: str
    folder: Path
    process: subprocess.Popen[bytes]
    image: str = ""

    def end(self) -> None:
        """Nobody reaches it any more."""
        self.process.terminate()
        self.process.wait(60)

    def docker(self, *words: str, given: bytes = b"") -> None:
        command = ["docker", "--host", self.engine, "--config", str(self.folder / "docker"), *words]
        subprocess.run(command, check=True, capture_output=True, input=given)


@contextlib.contextmanager
def private_registry(engine: str, folder: Path) -> Iterator[Registry]:
    """Runs until it is left; the image is taken out of the engine then."""
    if shutil.which("docker-registry") is None:
        pytest.skip("needs a registry: apt-get install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "config.yml").write_text(_CONFIGURATION.format(folder=folder, port=port))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    registry = Registry(engine, f"127.0.0.1:{port}", folder, process)
    try:
        _wait(port, process, folder / "log")
        registry.image = f"{registry.host}/private/train:1"
        change = "--change=ENV PATH=/usr/local/bin:/bin"
        registry.docker("import", change, "-", registry.image, given=small_root())
        registry.docker("login", "--username", USER, "--password-stdin", registry.host, given=PASSWORD.encode())
        registry.docker("push", registry.image)
        registry.docker("rmi", registry.image)
        yield registry
    finally:
        if registry.image:
            with contextlib.suppress(subprocess.CalledProcessError):
                registry.docker("rmi", "--force", registry.image)
        registry.end()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        time.sleep(0.05)
    pytest.fail(f"docker-registry does not start: {log.read_text()[-1000:]}")


def small_root() -> bytes:
    """A shell, what it is linked to, and ``train``: as a tar archive."""
    shell = str(Path("/bin/sh").resolve())
    linked = subprocess.run(["ldd", shell], capture_output=True, text=True, check=True).stdout
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        tar.add(shell, "bin/sh")
        for path in re.findall(r"(/\S+) \(0x", linked):
            tar.add(Path(path).resolve(), path.lstrip("/"))
        member = tarfile.TarInfo("usr/local/bin/train")
        member.size, member.mode = len(_TRAIN), 0o755
        tar.addfile(member, io.BytesIO(_TRAIN))
    return held.getvalue()

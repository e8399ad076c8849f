"""Who is measured beside us: nginx from Debian, MiniStack and moto from PyPI in an environment of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.nginx import configured
from benchmarks.s3.signing import Place
from benchmarks.startup import free_port

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0
_FILES = "sendfile on; tcp_nopush on; server {{ listen 127.0.0.1:{port}; root {root}; }}"


def environment(name: str = "peers") -> Path:
    """The folder with the programs of requirements/NAME.txt, made if it is not there."""
    folder, wanted = ROOT / f".venv-{name}", ROOT / "requirements" / f"{name}.txt"
    ready = folder / ".ready"
    if not ready.exists() or ready.stat().st_mtime < wanted.stat().st_mtime:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(wanted)], check=True)
        ready.touch()
    return folder / "bin"


def missing() -> list[str]:
    """The programs of Debian's that are needed and are not there."""
    return [name for name in ("wrk", "nginx") if shutil.which(name) is None]


@contextlib.contextmanager
def nginx(root: Path, folder: Path) -> Iterator[str]:
    """The URL of an nginx with one worker that serves ``root``; ``folder`` is scratch space."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    with _running(configured(folder, _FILES.format(port=port, root=root)), port, {}, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def ministack(bin_folder: Path, folder: Path) -> Iterator[Place]:
    port = free_port()
    ports = {"GATEWAY_PORT": str(port), "PORT": str(port)}
    with _running([str(bin_folder / "ministack")], port, ports, folder):
        yield Place(f"http://127.0.0.1:{port}", "test", "test")


@contextlib.contextmanager
def moto(bin_folder: Path, folder: Path) -> Iterator[Place]:
    port = free_port()
    with _running([str(bin_folder / "moto_server"), "-p", str(port)], port, {}, folder):
        yield Place(f"http://127.0.0.1:{port}", "test", "test")


@contextlib.contextmanager
def _running(command: list[str], port: int, variables: Mapping[str, str], folder: Path) -> Iterator[None]:
    """A program that listens on ``port``; what it says goes to a file in ``folder``."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdout=file, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0

"""A server on a small disk of its own, to be filled, where nobody else sees it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import Server, clean_environment, start_server


def played(module: str, folder: Path) -> dict[str, Any]:
    """The JSON that ``python -m module folder`` prints last, with mounts of its own."""
    as_root = [] if Path("/proc/self/uid_map").stat().st_uid == 0 else ["-r"]
    ended = subprocess.run(
        ["unshare", "-m", *as_root, sys.executable, "-m", module, str(folder)],
        env=clean_environment(),
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Server]:
    """A server whose data are at ``place``, on a disk of that size."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    server = start_server(place / "d")
    try:
        yield server
    finally:
        server.stop()


def fill(path: Path, left: int) -> None:
    """Makes a file that leaves the disk ``left`` bytes."""
    disk = os.statvfs(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(descriptor, 0, disk.f_bavail * disk.f_frsize - left)
    os.close(descriptor)

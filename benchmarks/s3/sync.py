"""``aws s3 sync`` of ten thousand files, twice: what the second run costs the server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Finding
from benchmarks.s3.client import Connection, cpu, place_of
from benchmarks.server import Server

BUCKET = "benchmark-sync"
_FOLDERS = _EACH = 100
_BAR_SECONDS = 2.0


def run(server: Server) -> Iterator[Finding]:
    first = Connection(place_of(server))
    first.send("PUT", f"/{BUCKET}")
    first.close()
    tree = server.folder / "tree"
    for folder in range(_FOLDERS):
        (tree / f"{folder:03}").mkdir(parents=True)
        for number in range(_EACH):
            (tree / f"{folder:03}" / f"{number:03}.txt").write_text(f"{folder} {number}\n" * 50)
    files = _FOLDERS * _EACH
    began, used = time.perf_counter(), cpu(server.data)
    copied = _sync(server, tree)
    took, used = time.perf_counter() - began, cpu(server.data) - used
    if copied != files:
        raise RuntimeError(f"the first run copied {copied} files")
    yield Finding(f"aws s3 sync of {files:,} files, the first", f"{took:.1f} s; server CPU {used:.2f} s")
    began, used = time.perf_counter(), cpu(server.data)
    copied = _sync(server, tree)
    took, used = time.perf_counter() - began, cpu(server.data) - used
    met = copied == 0 and used < _BAR_SECONDS
    figure = f"{took:.1f} s; server CPU {used:.2f} s; {copied} copied"
    yield Finding("  the second", figure, f"none copied, {_BAR_SECONDS:g} s of server time", met)


def _sync(server: Server, tree: Path) -> int:
    """How many files it copied."""
    command = [sys.executable, "-m", "awscli", "s3", "sync", str(tree), f"s3://{BUCKET}/tree", "--no-progress"]
    environ = {**os.environ, **server.environment}
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    return sum(line.startswith("upload:") for line in done.stdout.splitlines())

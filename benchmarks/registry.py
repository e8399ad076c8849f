"""Push and pull beside Debian's docker-registry (filesystem driver), by raw HTTP for both; what a push costs others.

python -m benchmarks.registry [--megabytes 256] [--rounds 5]

A layer of random bytes is pushed as clients push it (POST, one PATCH, PUT) and pulled. The two take turns. CPU time is
that of all processes of each server.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from benchmarks.report import Finding, spread
from benchmarks.server import Server, running_server, wildsage

PEER = "docker-registry"
BAR = 0.5
_PIECE = 1024 * 1024
_TICKS = os.sysconf("SC_CLK_TCK")
_CONFIG = """version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass
class Side:
    """One of the two. ``pushes`` and ``pulls``: seconds; ``cpu``: seconds of its processes in all."""

    name: str
    place: str
    pids: Sequence[int]
    headers: dict[str, str] = field(default_factory=dict)
    pushes: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)

    def cpu(self) -> float:
        """Of its processes, so far."""
        return sum(_cpu_seconds(pid) for pid in self.pids)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.place, timeout=300)

    def push(self, data: bytes, digest: str) -> None:
        connection = self._connection()
        began = time.monotonic()
        connection.request("POST", "/v2/bench/blobs/uploads/", headers=self.headers)
        location = _finish(connection, 202)
        split = urlsplit(location)
        path = f"{split.path}?{split.query}" if split.query else split.path
        sized = {**self.headers, "Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
        connection.request("PATCH", path, _pieces(data), sized)
        split = urlsplit(_finish(connection, 202))
        query = f"{split.query}&digest={digest}" if split.query else f"digest={digest}"
        connection.request("PUT", f"{split.path}?{query}", headers={**self.headers, "Content-Length": "0"})
        _finish(connection, 201)
        self.pushes.append(time.monotonic() - began)
        connection.close()

    def pull(self, size: int, digest: str) -> None:
        connection = self._connection()
        began = time.monotonic()
        connection.request("GET", f"/v2/bench/blobs/{digest}", headers=self.headers)
        answer = connection.getresponse()
        room, got = bytearray(_PIECE), 0
        while count := answer.readinto(room):
            got += count
        self.pulls.append(time.monotonic() - began)
        connection.close()
        if (answer.status, got) != (200, size):
            raise RuntimeError(f"{self.name} answered {answer.status} with {got} bytes")


def _pieces(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(data), _PIECE):
        yield view[start : start + _PIECE]


def _finish(connection: http.client.HTTPConnection, status: int) -> str:
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != status:
        raise RuntimeError(f"{answer.status} instead of {status}: {body[:300]!r}")
    return answer.getheader("location") or ""


def _cpu_seconds(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def _peak_memory(pid: int) -> int:
    """The most that it had in memory since that was last reset, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@contextlib.contextmanager
def peer(folder: Path) -> Iterator[Side]:
    """docker-registry on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "registry.yml"
    config.write_text(_CONFIG.format(root=folder / "registry", port=port))
    command = [PEER, "serve", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise
                    time.sleep(0.05)
            yield Side(PEER, f"127.0.0.1:{port}", [process.pid])
        finally:
            process.terminate()


def _client(server: Server, service: str) -> Any:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
    session = boto3.Session(*(server.environment[name] for name in names))
    return session.client(service, endpoint_url=server.url)


def ours(server: Server) -> Side:
    """Wildsage, with a password."""
    ecr = _client(server, "ecr")
    ecr.create_repository(repositoryName="bench")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    processes = _processes(server)
    place = urlsplit(server.url).netloc
    return Side("wildsage", place, list(processes.values()), {"Authorization": f"Basic {token}"})


def _processes(server: Server) -> dict[str, int]:
    deadline = time.monotonic() + 30
    while not (server.data / "run" / "objects-door.sock").exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the objects process does not start")
        time.sleep(0.05)
    status = wildsage("status", "--json", data=server.data)
    return {str(name): int(pid) for name, pid in json.loads(status)["processes"].items()}


def delays(server: Server, side: Side, data: bytes) -> tuple[list[float], list[float]]:
    """Milliseconds of calls of control: with nothing else to do, and while a layer is pushed."""
    sts = _client(server, "sts")

    def call() -> float:
        began = time.monotonic()
        sts.get_caller_identity()
        return (time.monotonic() - began) * 1000

    call()
    idle = [call() for _ in range(200)]
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    work = threading.Thread(target=side.push, args=(data, digest))
    work.start()
    busy = []
    while work.is_alive():
        busy.append(call())
        time.sleep(0.005)
    work.join()
    return idle, busy


def measure(server: Server, own: Side, megabytes: int, rounds: int) -> list[Finding]:
    """Both, in turns."""
    size = megabytes * 1024 * 1024
    with peer(server.folder) as other:
        sides = (own, other)
        spent = {side.name: [0.0, 0.0] for side in sides}
        for turn in range(rounds + 1):
            data = os.urandom(size)
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            for side in sides if turn % 2 else sides[::-1]:
                before = side.cpu()
                side.push(data, digest)
                between = side.cpu()
                side.pull(size, digest)
                if turn:
                    spent[side.name][0] += between - before
                    spent[side.name][1] += side.cpu() - between
        for side in sides:  # the first turn warms both up
            side.pushes, side.pulls = side.pushes[1:], side.pulls[1:]
    return _findings(sides, spent, megabytes, rounds)


def _findings(sides: tuple[Side, Side], spent: dict[str, list[float]], megabytes: int, rounds: int) -> list[Finding]:
    findings = []
    for number, (what, found) in enumerate((("push", "pushes"), ("pull", "pulls"))):
        rates = [[megabytes / seconds for seconds in getattr(side, found)] for side in sides]
        ratio = statistics.median(rates[0]) / statistics.median(rates[1])
        for side, values in zip(sides, rates, strict=True):
            costs = spent[side.name][number] / (megabytes * rounds) * 1024
            figure = f"{spread(values)} MiB/s, {costs:.2f} s of CPU a GiB"
            findings.append(Finding(f"{what} of a layer of {megabytes} MiB, {side.name}", figure))
        findings.append(Finding(f"{what}: Wildsage over {PEER}", f"{ratio:.2f}", f"at least {BAR}", ratio >= BAR))
    return findings


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.registry")
    options.add_argument("--megabytes", type=int, default=256)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    if shutil.which(PEER) is None:
        print(f"there is no {PEER} to compare with: apt-get install docker-registry", file=sys.stderr)
        return 1
    with running_server() as server:
        side = ours(server)
        findings = measure(server, side, chosen.megabytes, chosen.rounds)
        before = {name: _peak_memory(pid) for name, pid in _processes(server).items()}
        idle, busy = delays(server, side, os.urandom(1024 * 1024 * 1024))
        grown = max(_peak_memory(pid) - before[name] for name, pid in _processes(server).items())
    quantiles = [statistics.quantiles(values, n=100)[94] for values in (idle, busy)]
    findings.append(Finding("control's answers, 95th percentile, idle", f"{quantiles[0]:.1f} ms"))
    findings.append(Finding("the same while 1 GiB is pushed", f"{quantiles[1]:.1f} ms"))
    findings.append(Finding("memory that a push of 1 GiB adds to a process", f"{grown / 2**20:.0f} MiB"))
    for finding in findings:
        print(finding)
    return 0 if all(finding.met for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())

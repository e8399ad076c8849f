"""How long `wildsage up` takes until its health route answers 200, and what the idle server holds in memory.

Beside it: the CPU time of all processes until then, which a busy machine changes less than the seconds, and the seconds
until a first signed call is answered whose service is loaded behind the open door (SageMaker's ListModels, whose model
is read then too).

    python -m benchmarks.startup [--runs N]

Bars: 0.6 s, and 150 MB resident for all processes together. Exit status 1 if one is missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

BAR_SECONDS = 0.6
BAR_MEGABYTES = 150.0
_SETTLE_SECONDS = 3.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """Byte code may be written: an installed package has it."""
    source = str(Path(__file__).resolve().parents[1] / "src")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": source}


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/_wildsage/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def call(data: Path, port: int) -> None:
    """ListModels, by the root user."""
    key = json.loads((data / "credentials.json").read_text())
    url, body = f"http://127.0.0.1:{port}/", b"{}"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.ListModels"}
    request = AWSRequest("POST", url, headers, body)
    SigV4Auth(Credentials(key["access_key"], key["secret"]), "sagemaker", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/", body, dict(request.headers))
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"ListModels was answered with {answer.status}: {answer.read()!r}")
    connection.close()


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the command to a 200 and to the first call's answer; CPU seconds of all processes to the 200."""

    health: float
    call: float
    cpu: float
    process: subprocess.Popen[bytes]


def start(data: Path, calls: bool = True) -> Start:
    """Starts a server. Without ``calls`` nobody asks it for anything but its health."""
    port = free_port()
    command = [sys.executable, "-m", "wildsage.cli", "up", "--data", str(data), "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    while not healthy(port):
        if process.poll() is not None:
            raise SystemExit("wildsage up ended before it was ready")
        time.sleep(0.002)
    health = time.perf_counter() - began
    cpu = sum(cpu_seconds(pid) for pid in family(process.pid))
    if calls:
        call(data, port)
    return Start(health, time.perf_counter() - began, cpu, process)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far; 0 if it has ended."""
    try:
        schedules = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        return 0.0
    return sum(int(schedule.split()[0]) for schedule in schedules) / 1e9


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(inner for child in children for inner in family(int(child)))]


def megabytes(pid: int, field: str) -> float:
    """``Rss`` or ``Pss`` of one process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) / 1024
    raise LookupError(field)


def told(what: str, starts: Sequence[Start]) -> None:
    for name, unit, values in (
        ("health", "s", [each.health for each in starts]),
        ("first call", "s", [each.call for each in starts]),
        ("until health", "CPU s", [each.cpu for each in starts]),
    ):
        middle, lowest, highest = statistics.median(values), min(values), max(values)
        print(f"{what}   {name:12} median {middle:.3f} {unit}  (lowest {lowest:.3f}, highest {highest:.3f})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs: int = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="ws-bench-"))
    firsts, laters = [], []
    try:
        stop(start(folder / "warm").process)  # byte code and file cache
        for number in range(runs):
            firsts.append(start(folder / str(number)))
            stop(firsts[-1].process)
            laters.append(start(folder / str(number)))
            stop(laters[-1].process)
        process = start(folder / "warm", calls=False).process
        time.sleep(_SETTLE_SECONDS)
        pids = family(process.pid)
        resident = {field: [megabytes(pid, field) for pid in pids] for field in ("Rss", "Pss")}
        stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told("first start", firsts)
    told("later start", laters)
    total = sum(resident["Rss"])
    slowest = max(statistics.median(each.health for each in starts) for starts in (firsts, laters))
    print(f"bar           {BAR_SECONDS} s")
    each = ", ".join(f"{value:.1f}" for value in resident["Rss"])
    print(
        f"idle resident {total:.1f} MB over {len(pids)} processes ({each}); proportional {sum(resident['Pss']):.1f} MB"
    )
    print(f"bar           {BAR_MEGABYTES:.0f} MB")
    return 0 if slowest <= BAR_SECONDS and total <= BAR_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())

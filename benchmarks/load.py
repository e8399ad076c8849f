"""What the benchmarks of the data plane share: a signed load, the processes under it, and reading what they say."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from wildsage.core.routes import EVERYTHING, Capture, Endpoint, Instance, Invoker, Key, Routes, Variant, endpoint_key

ROOT = "arn:aws:iam::000000000000:root"
ACCESS_KEY, SECRET = "AKIABENCHMARK0000000", "s" * 40


def snapshot(address: str, percent: int = 0) -> Routes:
    """One endpoint, one key that may invoke everything. ``percent``: of the requests that are captured."""
    arn = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/iris"
    types = ("application/json",)
    capture = Capture(percent, "s3://captured", ROOT, json=types) if percent else None
    variant = Variant("AllTraffic", 1.0, (Instance("i-1", address),), capture=capture)
    endpoint = Endpoint("iris", "us-east-1", arn, "InService", "iris", "/aws/sagemaker/Endpoints/iris", (variant,))
    key = Key(SECRET, ROOT, "000000000000", ROOT)
    return Routes(
        1,
        "000000000000",
        "00" * 32,
        {ACCESS_KEY: key},
        {ROOT: Invoker(key.user_id, EVERYTHING)},
        {endpoint_key("us-east-1", "iris"): endpoint},
    )


OWN = Credentials(ACCESS_KEY, SECRET)
"""The key of ``snapshot``."""


def signed(url: str, body: bytes, content_type: str, credentials: Credentials = OWN) -> dict[str, str]:
    """The headers that boto3 sends."""
    request = AWSRequest("POST", url, {"Content-Type": content_type, "Accept": "application/json"}, body)
    request.headers["User-Agent"] = (
        "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7"
    )
    request.headers["amz-sdk-invocation-id"] = "8f6a3c1e-7a80-4b1e-9a1d-000000000000"
    request.headers["amz-sdk-request"] = "attempt=1"
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def script(path: Path, url: str, body: bytes, content_type: str, credentials: Credentials = OWN) -> Path:
    """A wrk script that repeats one signed request."""
    headers = signed(url, body, content_type, credentials)
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{body.decode()}]==]"]
    lines += [f'wrk.headers["{name}"] = [==[{value}]==]' for name, value in headers.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: requests a second, median and 99th percentile in milliseconds."""

    rate: float
    p50: float
    p99: float


def wrk(url: str, lua: Path, clients: int, seconds: int, core: int | None) -> Load:
    """Runs wrk on ``core`` (None: on any); raises RuntimeError if any answer was not a success."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pinned, "wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", str(lua), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
    return Load(rate, _ms(text, "50%"), _ms(text, "99%"))


def _ms(text: str, line: str) -> float:
    number, unit = re.findall(rf"{line}\s+([\d.]+)(us|ms|s)", text)[0]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def start(command: list[str], core: int | None = None) -> tuple[subprocess.Popen[str], str]:
    """Starts a process and waits for its first line."""
    pinned = command if core is None else ["taskset", "-c", str(core), *command]
    process = subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process; ``field`` VmHWM: the most that it ever had."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"{field}:\s+(\d+)", text)[0]) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time a process has used; unlike a rate, it says the same on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stop(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(10)


def median(loads: list[Load]) -> Load:
    return Load(
        statistics.median(load.rate for load in loads),
        statistics.median(load.p50 for load in loads),
        statistics.median(load.p99 for load in loads),
    )

"""InvokeEndpoint through the router against calling the model server directly.

    python benchmarks/router.py [--seconds 3] [--rounds 5]

Starts a trivial model server and one router, pinned to a core of its own, and loads both with ``wrk`` (Debian's) over
kept connections; the router's requests are signed and its signature checks are on.  Prints the medians of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from wildsage.core.routes import Endpoint, Instance, Key, Permission, Routes, Variant, endpoint_key

ROOT = "arn:aws:iam::000000000000:root"
ACCESS_KEY, SECRET = "AKIABENCHMARK0000000", "s" * 40
BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n" + b'{"predictions": [0]}\n'


class Trivial(asyncio.Protocol):
    """Answers every request with the same bytes; a request is what ends with BODY."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._seen.endswith(BODY):
            self._seen = b""
            self._transport.write(ANSWER)


async def serve(path: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_unix_server(Trivial, path)
    server = await loop.create_server(Trivial, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def snapshot(address: str) -> Routes:
    """One endpoint, one key that may invoke everything."""
    arn = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/iris"
    variant = Variant("AllTraffic", 1.0, (Instance("i-1", address),))
    endpoint = Endpoint("iris", "us-east-1", arn, "InService", "iris", "/aws/sagemaker/Endpoints/iris", (variant,))
    key = Key(SECRET, ROOT, "000000000000", ROOT)
    return Routes(
        1,
        "000000000000",
        "00" * 32,
        {ACCESS_KEY: key},
        {ROOT: Permission(("*",))},
        {endpoint_key("us-east-1", "iris"): endpoint},
    )


def script(path: Path, url: str, body: bytes = BODY, content_type: str = "application/json") -> Path:
    """A wrk script that repeats one signed request, with the headers boto3 sends."""
    request = AWSRequest("POST", url, {"Content-Type": content_type, "Accept": "application/json"}, body)
    request.headers["User-Agent"] = (
        "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11.7"
    )
    request.headers["amz-sdk-invocation-id"] = "8f6a3c1e-7a80-4b1e-9a1d-000000000000"
    request.headers["amz-sdk-request"] = "attempt=1"
    SigV4Auth(Credentials(ACCESS_KEY, SECRET), "sagemaker", "us-east-1").add_auth(request)
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{body.decode()}]==]"]
    lines += [f'wrk.headers["{name}"] = [==[{value}]==]' for name, value in request.headers.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: requests a second, median and 99th percentile in milliseconds."""

    rate: float
    p50: float
    p99: float


def wrk(url: str, lua: Path, clients: int, seconds: int, core: int) -> Load:
    """Runs wrk on ``core``; raises RuntimeError if any answer was not a success."""
    command = [
        "taskset",
        "-c",
        str(core),
        "wrk",
        "-t1",
        f"-c{clients}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(lua),
        url,
    ]
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


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


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


def measure(folder: Path, seconds: int, rounds: int) -> dict[str, object]:
    """Both servers, at one client and at 32."""
    data = folder / "data"
    data.mkdir()
    (data / "routes.json").write_text(snapshot(f"unix:{folder}/model.sock").to_json())
    model, port = start([sys.executable, __file__, "--serve", f"{folder}/model.sock"], core=1)
    router, line = start([sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"], core=0)
    try:
        idle = resident_mb(router.pid)
        direct_url = f"http://127.0.0.1:{port}/invocations"
        router_url = f"{line.removeprefix('listening on ')}/endpoints/iris/invocations"
        direct_lua, router_lua = script(folder / "direct.lua", direct_url), script(folder / "router.lua", router_url)
        results: dict[str, object] = {}
        for clients in (1, 32):
            direct, routed = [], []
            for _ in range(rounds):
                direct.append(wrk(direct_url, direct_lua, clients, seconds, core=1))
                routed.append(wrk(router_url, router_lua, clients, seconds, core=1))
            one, other = median(direct), median(routed)
            results[f"{clients} clients"] = {
                "direct": {"rate": one.rate, "p50_ms": one.p50, "p99_ms": one.p99},
                "router": {"rate": other.rate, "p50_ms": other.p50, "p99_ms": other.p99},
                "added_p50_ms": round(other.p50 - one.p50, 4),
                "rate_ratio": round(other.rate / one.rate, 3),
            }
        results["router resident MB"] = {"idle": round(idle, 1), "after": round(resident_mb(router.pid), 1)}
        return results
    finally:
        stop([router, model])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve))
        return 0
    if shutil.which("wrk") is None:
        print("wrk is missing: apt-get install wrk", file=sys.stderr)
        return 2
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent.parent / "src"))
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.seconds, options.rounds)
    print(json.dumps({"when": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), **results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

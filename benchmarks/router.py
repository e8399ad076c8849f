"""InvokeEndpoint through the router against calling the model server directly.

    python -m benchmarks.router [--seconds 3] [--rounds 5] [--capture 10]

Starts a trivial model server and one router, and loads both with ``wrk`` (Debian's) over kept connections; the router's
requests are signed as boto3 signs them, and checked.  Prints the medians of the rounds.

Where things run (two cores are enough): the client on core 1, the router on core 0.  At one client the model server
shares the router's core: waking another core costs a virtual machine some 60 µs, and both ways of calling must pay it
once.  At 32 clients it runs on core 1, so that the router has a core to itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.load import cpu_seconds, median, resident_mb, script, snapshot, start, stop, wrk

BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n" + b'{"predictions": [0]}\n'
_CLIENT_CORE, _ROUTER_CORE = 1, 0


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
    unix = await loop.create_unix_server(Trivial, path)
    tcp = await loop.create_server(Trivial, "127.0.0.1", 0)
    print(tcp.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(unix.serve_forever(), tcp.serve_forever())


def measure(folder: Path, clients: int, seconds: int, rounds: int, percent: int) -> dict[str, object]:
    """Both ways of calling, with ``clients`` kept connections."""
    data = folder / f"data-{clients}"
    data.mkdir()
    socket = f"{folder}/model-{clients}.sock"
    (data / "routes.json").write_text(snapshot(f"unix:{socket}", percent).to_json())
    model_core = _ROUTER_CORE if clients == 1 else _CLIENT_CORE
    model, port = start([sys.executable, "-m", "benchmarks.router", "--serve", socket], core=model_core)
    command = [sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"]
    router, line = start(command, core=_ROUTER_CORE)
    try:
        idle = resident_mb(router.pid)
        direct_url = f"http://127.0.0.1:{port}/invocations"
        router_url = f"{line.removeprefix('listening on ')}/endpoints/iris/invocations"
        direct_lua = script(folder / "direct.lua", direct_url, BODY, "application/json")
        router_lua = script(folder / "router.lua", router_url, BODY, "application/json")
        direct, routed, used = [], [], []
        for _ in range(rounds):
            direct.append(wrk(direct_url, direct_lua, clients, seconds, _CLIENT_CORE))
            before = cpu_seconds(router.pid)
            routed.append(wrk(router_url, router_lua, clients, seconds, _CLIENT_CORE))
            used.append((cpu_seconds(router.pid) - before) / (routed[-1].rate * seconds))
        one, other = median(direct), median(routed)
        return {
            "direct": {"rate": round(one.rate), "p50_ms": one.p50, "p99_ms": one.p99},
            "router": {"rate": round(other.rate), "p50_ms": other.p50, "p99_ms": other.p99},
            "added_p50_ms": round(other.p50 - one.p50, 3),
            "router_cpu_us_per_request": round(statistics.median(used) * 1e6, 1),
            "rate_ratio": round(other.rate / one.rate, 3),
            "router_resident_mb": {"idle": round(idle, 1), "after": round(resident_mb(router.pid), 1)},
        }
    finally:
        stop([router, model])


def main() -> int:
    parser = argparse.ArgumentParser(
        description="InvokeEndpoint through the router against calling the server directly."
    )
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--capture", type=int, default=0, help="per cent of the requests that are captured")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve))
        return 0
    if shutil.which("wrk") is None:
        print("wrk is missing: apt-get install wrk", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        results = {
            f"{clients} clients": measure(Path(folder), clients, options.seconds, options.rounds, options.capture)
            for clients in (1, 32)
        }
    print(json.dumps({"when": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), **results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

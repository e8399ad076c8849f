"""What the containers of an inference pipeline add: the same trivial container once, and three of them in series.

    python -m benchmarks.series [--seconds 3] [--rounds 5]

Each container is a process that echoes. One client on a core of its own, router and containers on the other: a hop is
what a container more adds to the median, the container's own work included.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.load import Load, cpu_seconds, median, script, snapshot, start, stop, wrk
from benchmarks.report import Finding
from wildsage.core.routes import SERIAL, Container, Endpoint, Instance, Routes, Variant, endpoint_key

BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
_CONTAINERS = 3
_HOP_BAR_MS = 0.3
_CLIENT_CORE, _ROUTER_CORE = 1, 0


class Echo(asyncio.Protocol):
    """Answers a request, which is what ends with BODY, with BODY."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._seen.endswith(BODY):
            self._seen = b""
            self._transport.write(ANSWER)


async def serve(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(Echo, path)
    print("ready", flush=True)
    await server.serve_forever()


def routes(sockets: list[str]) -> Routes:
    """The endpoints ``iris``, whose model has one container, and ``series``, whose model has all of them."""
    plain = snapshot(sockets[0])
    containers = tuple(Container(f"container-{number}", address) for number, address in enumerate(sockets, 1))
    variant = Variant("AllTraffic", 1.0, (Instance("i-2", sockets[0], containers),), mode=SERIAL)
    one = plain.endpoints[endpoint_key("us-east-1", "iris")]
    both: dict[str, Endpoint] = {**plain.endpoints}
    both[endpoint_key("us-east-1", "series")] = replace(one, name="series", variants=(variant,))
    return replace(plain, endpoints=both)


def measure(folder: Path, clients: int, seconds: int, rounds: int) -> dict[str, tuple[Load, float]]:
    """Endpoint → what a client saw, and the router's processor time for a request in microseconds."""
    data = folder / f"data-{clients}"
    data.mkdir()
    sockets = [f"unix:{folder}/{clients}-{number}.sock" for number in range(_CONTAINERS)]
    (data / "routes.json").write_text(routes(sockets).to_json())
    processes = []
    try:
        for each in sockets:
            command = [sys.executable, "-m", "benchmarks.series", "--serve", each.removeprefix("unix:")]
            processes.append(start(command, core=_ROUTER_CORE)[0])
        command = [sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"]
        router, line = start(command, core=_ROUTER_CORE)
        processes.append(router)
        found: dict[str, list[tuple[Load, float]]] = {"iris": [], "series": []}
        for _ in range(rounds):
            for name, loads in found.items():
                url = f"{line.removeprefix('listening on ')}/endpoints/{name}/invocations"
                lua = script(folder / f"{name}.lua", url, BODY, "application/json")
                before = cpu_seconds(router.pid)
                load = wrk(url, lua, clients, seconds, _CLIENT_CORE)
                loads.append((load, (cpu_seconds(router.pid) - before) / (load.rate * seconds) * 1e6))
        return {
            name: (median([load for load, _ in loads]), statistics.median(used for _, used in loads))
            for name, loads in found.items()
        }
    finally:
        stop(processes)


def findings(folder: Path, seconds: int, rounds: int) -> list[Finding]:
    result = []
    for clients in (1, 32):
        found = measure(folder, clients, seconds, rounds)
        (one, one_used), (three, three_used) = found["iris"], found["series"]
        hop, used = (three.p50 - one.p50) / (_CONTAINERS - 1), (three_used - one_used) / (_CONTAINERS - 1)
        bar = f"< {_HOP_BAR_MS} ms" if clients == 1 else ""
        figure = f"{hop:.3f} ms ({one.p50:.3f} to {three.p50:.3f} ms)"
        result.append(Finding(f"a hop more, {clients} client(s): p50", figure, bar, hop < _HOP_BAR_MS))
        result.append(
            Finding(f"a hop more, {clients} client(s): router's CPU", f"{used:.1f} µs (first: {one_used:.1f})")
        )
        result.append(
            Finding(f"3 containers, {clients} client(s)", f"{three.rate:,.0f}/s (1 container: {one.rate:,.0f}/s)")
        )
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="What each further container of an inference pipeline adds.")
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
    with tempfile.TemporaryDirectory() as folder:
        for finding in findings(Path(folder), options.seconds, options.rounds):
            print(finding, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The router with large bodies, with streams, and with a second router beside it.

    python -m benchmarks.payloads [--seconds 3] [--rounds 5]

Large bodies: 1 MB each way, directly and through the router. Streams: the time from sending a request until the first
piece of its answer is here, over a kept connection, as a plain answer of the model server itself and as events of
InvokeEndpointWithResponseStream. Routers: the requests a second of two that share a port over those of one; with fewer
than four cores the client and the model server take of theirs, and the figure says little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.load import cpu_seconds, median, script, signed, snapshot, start, stop, wrk
from benchmarks.router import BODY

_MB = 1024 * 1024
_LARGE = b"x" * _MB
_SMALL_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_LARGE_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (_MB, _LARGE)
_FIRST = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"
_LAST = b"4\r\nlast\r\n0\r\n\r\n"
_GAP_SECONDS = 0.002
_CLIENTS = 4


class Model(asyncio.Protocol):
    """Answers by the size of what it is sent: 1 MB with as much, ``stream`` in two pieces, all else with "ok"."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if not self._missing:
                self._transport.write(_LARGE_ANSWER)
            return
        head, _, body = data.partition(b"\r\n\r\n")
        if f"content-length: {_MB}".encode() in head.lower():
            self._missing = _MB - len(body)
        elif body.endswith(b"stream"):
            self._transport.write(_FIRST)
            asyncio.get_running_loop().call_later(_GAP_SECONDS, self._transport.write, _LAST)
        else:
            self._transport.write(_SMALL_ANSWER)


async def serve(path: str) -> None:
    loop = asyncio.get_running_loop()
    unix = await loop.create_unix_server(Model, path)
    tcp = await loop.create_server(Model, "127.0.0.1", 0)
    print(tcp.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(unix.serve_forever(), tcp.serve_forever())


def first_piece(url: str, count: int = 400) -> float:
    """The median of the milliseconds until the first piece, over one connection."""
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    headers = {"host": f"{host}:{port}", **signed(url, b"stream", "text/plain"), "content-length": "6"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST /{path} HTTP/1.1\r\n{head}\r\nstream".encode()
    times = []
    with socket.create_connection((host, int(port)), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(request)
            got = _until(sock, b"first", b"")
            times.append(time.perf_counter() - began)
            _until(sock, b"last", got)
            time.sleep(_GAP_SECONDS)  # the end of the message is on its way
    return statistics.median(times) * 1000


def _until(sock: socket.socket, mark: bytes, got: bytes) -> bytes:
    while mark not in got:
        more = sock.recv(65536)
        if not more or got.startswith(b"HTTP/1.1 4"):
            raise RuntimeError(f"no answer: {got!r}")
        got += more
    return got


def _pin(places: Mapping[int, int]) -> None:
    """Processes by id to cores; as in ``benchmarks.router``, the model server is on the router's."""
    for pid, core in places.items():
        os.sched_setaffinity(pid, {core})


def large(direct: str, routed: str, folder: Path, seconds: int, rounds: int) -> dict[str, object]:
    """Requests of 1 MB a second, both ways."""
    scripts = [
        script(folder / f"{name}.lua", url, _LARGE, "text/plain")
        for name, url in zip("dr", (direct, routed), strict=True)
    ]
    loads = [
        [wrk(url, lua, _CLIENTS, seconds, None) for _ in range(rounds)]
        for url, lua in zip((direct, routed), scripts, strict=True)
    ]
    one, other = (median(each).rate for each in loads)
    return {"direct_mb_s": round(one), "router_mb_s": round(other), "ratio": round(other / one, 2)}


def several(data: Path, socket_path: str, seconds: int, rounds: int) -> dict[str, object]:
    """Requests a second of one and of two routers at the same port, and what each costs."""
    (data / "routes.json").write_text(snapshot(f"unix:{socket_path}").to_json())
    found: dict[str, object] = {}
    rates = []
    for count in (1, 2):
        port = 0
        routers = []
        for number in range(count):
            words = ["--data", str(data), "--port", str(port), "--number", str(number), "--share"]
            process, line = start([sys.executable, "-m", "wildsage.dataplane", *words])
            port = int(line.rpartition(":")[2])
            routers.append(process)
        url = f"http://127.0.0.1:{port}/endpoints/iris/invocations"
        lua = script(data / "several.lua", url, BODY, "application/json")
        before = sum(cpu_seconds(each.pid) for each in routers)
        loads = [wrk(url, lua, 32, seconds, None) for _ in range(rounds)]
        used = sum(cpu_seconds(each.pid) for each in routers) - before
        rates.append(median(loads).rate)
        served = sum(load.rate for load in loads) * seconds
        found[f"{count} routers"] = {"rate": round(rates[-1]), "cpu_us_per_request": round(used / served * 1e6, 1)}
        stop(routers)
    return {**found, "ratio": round(rates[1] / rates[0], 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description="The router with large bodies, streams, and a second one beside it.")
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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = f"{folder}/model.sock"
        model, port = start([sys.executable, "-m", "benchmarks.payloads", "--serve", path])
        data = folder / "data"
        data.mkdir()
        (data / "routes.json").write_text(snapshot(f"unix:{path}").to_json())
        router, line = start([sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"])
        base = line.removeprefix("listening on ")
        direct, routed = f"http://127.0.0.1:{port}/invocations", f"{base}/endpoints/iris/invocations"
        try:
            cores = os.sched_getaffinity(0)
            _pin({0: min(cores), model.pid: max(cores), router.pid: max(cores)})
            pieces = [(first_piece(direct), first_piece(f"{routed}-response-stream")) for _ in range(options.rounds)]
            for pid in (0, model.pid, router.pid):
                os.sched_setaffinity(pid, cores)
            first = {
                "direct_ms": round(statistics.median(one for one, _ in pieces), 3),
                "router_ms": round(statistics.median(other for _, other in pieces), 3),
                "added_ms": round(statistics.median(other - one for one, other in pieces), 3),
            }
            result = {
                "when": time.strftime("%Y-%m-%d"),
                "cores": os.cpu_count(),
                "first piece": first,
                "1 MB each way": large(direct, routed, folder, options.seconds, options.rounds),
            }
        finally:
            stop([router])
        try:
            result["several routers"] = several(data, path, options.seconds, options.rounds)
        finally:
            stop([model])
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

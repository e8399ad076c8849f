"""The router with large bodies, with streams, and with a second router beside it.

Large bodies: 1 MB each way, directly, through the router, and through an nginx that passes everything on and checks
nothing; nothing is pinned. Streams: the time from sending a request until the first piece of its answer is here, over a
kept connection, as a plain answer of the model server itself, through that nginx, and as events of
InvokeEndpointWithResponseStream; the client has one core, all else the other. A virtual core without work is taken off
the machine until the hypervisor has woken it, which such requests, a pause apart, wait for time and again. So they are
measured twice, the second time with a process on each core that runs when nothing else would. Routers: the requests a
second of two that share a port over those of one, nothing pinned. With fewer than four cores the client and the model
server take of theirs, so there the bar is held against the routers' CPU time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.hosting.world import two_cores
from benchmarks.load import cpu_seconds, median, script, signed, snapshot, start, stop, wrk
from benchmarks.modelserver import until_ready
from benchmarks.nginx import proxy
from benchmarks.report import Finding, spread
from benchmarks.router import BODY
from benchmarks.startup import free_port

_MB = 1024 * 1024
_LARGE = b"x" * _MB
_SMALL_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_LARGE_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (_MB, _LARGE)
_FIRST = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"
_LAST = b"4\r\nlast\r\n0\r\n\r\n"
_GAP_SECONDS = 0.002
_CLIENTS = 4


@dataclass(frozen=True, slots=True)
class Places:
    """URLs of the model server itself, of nginx before it, and of the router before it."""

    direct: str
    proxied: str
    routed: str


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


def _large(places: Places, folder: Path, rounds: int, seconds: int) -> Iterator[Finding]:
    """Requests of 1 MB a second, both ways in turn."""
    urls = {"direct": places.direct, "nginx": places.proxied, "router": places.routed}
    found: dict[str, list[float]] = {who: [] for who in urls}
    scripts = {who: script(folder / f"{who}.lua", url, _LARGE, "text/plain") for who, url in urls.items()}
    for _ in range(rounds):
        for who, url in urls.items():
            found[who].append(wrk(url, scripts[who], _CLIENTS, seconds, None).rate)
    yield Finding("1 MB each way, direct: requests/s", spread(found["direct"]))
    for who in ("nginx", "router"):
        parts = [after / before for before, after in zip(found["direct"], found[who], strict=True)]
        bar = "0.5" if who == "router" else ""
        met = not bar or statistics.median(parts) >= 0.5
        yield Finding(f"1 MB each way through {who}: requests/s", spread(found[who]))
        yield Finding(f"1 MB each way through {who}, of the direct throughput", spread(parts, ".2f"), bar, met)


def _first(places: Places, cores: Mapping[int, int], rounds: int) -> Iterator[Finding]:
    """``cores``: processes by id to cores, meanwhile."""
    everywhere = os.sched_getaffinity(0)
    for pid, core in cores.items():
        os.sched_setaffinity(pid, {core})
    for name, awake in (("cores may halt", False), ("cores awake", True)):
        with _kept_awake(set(cores.values())) if awake else nullcontext():
            times = [
                [first_piece(url) for url in (places.direct, places.proxied, f"{places.routed}-response-stream")]
                for _ in range(rounds)
            ]
        direct, nginx, router = zip(*times, strict=True)
        yield Finding(f"first streamed piece, direct, {name}: ms", spread(direct, ".3f"))
        for who, took in (("nginx", nginx), ("router", router)):
            added = [other - one for one, other in zip(direct, took, strict=True)]
            bar = "0.3" if who == "router" else ""
            met = not bar or statistics.median(added) <= 0.3
            yield Finding(f"first streamed piece through {who}, {name}: ms added", spread(added, ".3f"), bar, met)
    for pid in cores:
        os.sched_setaffinity(pid, everywhere)


@contextmanager
def _kept_awake(cores: set[int]) -> Iterator[None]:
    """A process on each core that anything else puts aside at once."""
    program = (
        "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); print(flush=True)\nwhile True: pass"
    )
    idle = [start([sys.executable, "-c", program], core)[0] for core in cores]
    try:
        yield
    finally:
        stop(idle)


def _several(data: Path, rounds: int, seconds: int) -> Iterator[Finding]:
    """One and two routers at the same port."""
    rates, costs = [], []
    for count in (1, 2):
        port = 0
        routers = []
        for number in range(count):
            words = ["--data", str(data), "--port", str(port), "--number", str(number), "--share"]
            process, line = start([sys.executable, "-m", "wildsage.dataplane", *words])
            port = int(line.rpartition(":")[2])
            routers.append(process)
        try:
            url = f"http://127.0.0.1:{port}/endpoints/iris/invocations"
            lua = script(data / "several.lua", url, BODY, "application/json")
            before = sum(cpu_seconds(each.pid) for each in routers)
            loads = [wrk(url, lua, 32, seconds, None) for _ in range(rounds)]
            used = sum(cpu_seconds(each.pid) for each in routers) - before
        finally:
            stop(routers)
        rates.append(median(loads).rate)
        costs.append(used / (sum(load.rate for load in loads) * seconds))
        yield Finding(f"{count} router(s), 32 clients: requests/s", spread([load.rate for load in loads]))
        yield Finding(f"{count} router(s): CPU µs a request", f"{costs[-1] * 1e6:.1f}")
    ratio, possible = rates[1] / rates[0], 2 * costs[0] / costs[1]
    enough_cores = (os.cpu_count() or 1) >= 4
    yield Finding("two routers over one, requests/s", f"{ratio:.2f}", "1.7" if enough_cores else "", ratio >= 1.7)
    bar = "" if enough_cores else "1.7"
    yield Finding("two routers over one, by CPU time", f"{possible:.2f}", bar, possible >= 1.7)


def run(rounds: int, seconds: int) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = f"{folder}/model.sock"
        model, port = start([sys.executable, "-m", "benchmarks.hosting.payloads", path])
        try:
            data = folder / "data"
            data.mkdir()
            (data / "routes.json").write_text(snapshot(f"unix:{path}").to_json())
            router, line = start([sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"])
            at = free_port()
            nginx = subprocess.Popen(proxy(folder, path, at), text=True)
            places = Places(
                f"http://127.0.0.1:{port}/invocations",
                f"http://127.0.0.1:{at}/invocations",
                f"{line.removeprefix('listening on ')}/endpoints/iris/invocations",
            )
            router_core, client_core = two_cores()
            cores = {0: client_core, **dict.fromkeys((model.pid, nginx.pid, router.pid), router_core)}
            try:
                until_ready(places.proxied)
                yield from _first(places, cores, rounds)
                yield from _large(places, folder, rounds, seconds)
            finally:
                stop([router, nginx])
            yield from _several(data, rounds, seconds)
        finally:
            stop([model])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))  # the model server

"""A router that knows 1,000 endpoints beside one that knows a single one, each asked with one client.

Each endpoint has an instance of its own name at one trivial model server, which all share; the requests go through all
endpoints in turn. Both routers and the model server are on one core, the client on the other. Then what it takes, in
this process, that one of the 1,000 changes: in control to write the snapshot, in a router to read it and put it in
force; once with all that both remember, and as if all were new. What 1,000 endpoints cost control otherwise (their
health checks, their containers) is ``crowd``'s.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.hosting.world import two_cores
from benchmarks.load import Load, cpu_seconds, resident_mb, signed, snapshot, start, stop, wrk
from benchmarks.report import Finding, spread
from benchmarks.router import BODY
from wildsage.core.routes import Reader, Routes, Writer, endpoint_key
from wildsage.dataplane.table import Table

_MANY = 1_000
_REPEAT = """
local made, at = {{}}, 0
function init(_)
  for text in io.open("{path}", "rb"):read("*a"):gmatch("[^%z]+") do made[#made + 1] = text end
end
function request()
  at = at % #made + 1
  return made[at]
end
"""


def named(count: int, address: str) -> Routes:
    """``count`` endpoints, iris-0 and so on."""
    routes = snapshot(address)
    (iris,) = routes.endpoints.values()
    names = [f"iris-{number}" for number in range(count)]
    made = {
        endpoint_key(iris.region, name): replace(
            iris, name=name, arn=f"{iris.arn}-{name}", log_group=f"/aws/sagemaker/Endpoints/{name}"
        )
        for name in names
    }
    return replace(routes, endpoints=made)


def requests(path: Path, url: str, count: int) -> Path:
    """A wrk script that invokes the endpoints one after the other, each request signed once.

    The requests are in a file beside it, as they go over the wire: thousands are too many for Lua's compiler.
    """
    raw = path.with_suffix(".requests")
    with raw.open("wb") as file:
        for number in range(count):
            target = f"{url}/endpoints/iris-{number}/invocations"
            host, place = urlsplit(target).netloc, urlsplit(target).path
            headers = {"Host": host, **signed(target, BODY, "application/json"), "Content-Length": str(len(BODY))}
            lines = [f"POST {place} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
            file.write("\r\n".join(lines).encode() + BODY + b"\0")
    path.write_text(_REPEAT.format(path=raw))
    return path


def run(rounds: int, seconds: int) -> Iterator[Finding]:
    router_core, client_core = two_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket = f"{folder}/model.sock"
        running = [start([sys.executable, "-m", "benchmarks.router", "--serve", socket], core=router_core)[0]]
        try:
            asked = []
            for count in (1, _MANY):
                data = folder / f"data-{count}"
                data.mkdir()
                (data / "routes.json").write_text(named(count, f"unix:{socket}").to_json())
                command = [sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"]
                router, line = start(command, core=router_core)
                running.append(router)
                url = line.removeprefix("listening on ")
                asked.append((router.pid, url, requests(folder / f"{count}.lua", url, count)))
                wrk(*asked[-1][1:], 1, 1, client_core)
            loads: tuple[list[Load], list[Load]] = ([], [])
            used: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                for (pid, url, lua), found, spent in zip(asked, loads, used, strict=True):
                    before = cpu_seconds(pid)
                    found.append(wrk(url, lua, 1, seconds, client_core))
                    spent.append((cpu_seconds(pid) - before) / (found[-1].rate * seconds) * 1e6)
            yield from _compared(loads, used)
            yield Finding("router's resident memory with 1,000 endpoints, MB", f"{resident_mb(asked[1][0]):.1f}")
        finally:
            stop(running)
    yield from _change()


def _change(times: int = 20) -> Iterator[Finding]:
    """The snapshot of ``_MANY`` endpoints, one of which is another at each time."""
    routes, writer, reader, table = named(_MANY, "unix:/model"), Writer(), Reader(), Table()
    table.put(reader.read(writer.write(routes)))
    key, endpoint = next(iter(routes.endpoints.items()))
    took: dict[str, list[float]] = {"written": [], "in force": [], "written, all anew": [], "in force, all anew": []}
    for number in range(times):
        changed = {**routes.endpoints, key: replace(endpoint, config=f"config-{number}")}
        routes = replace(routes, version=routes.version + 1, endpoints=changed)
        for writes, reads, holds, how in ((writer, reader, table, ""), (Writer(), Reader(), Table(), ", all anew")):
            began = time.perf_counter()
            text = writes.write(routes).encode()
            between = time.perf_counter()
            holds.put(reads.read(text))
            took[f"written{how}"].append((between - began) * 1000)
            took[f"in force{how}"].append((time.perf_counter() - between) * 1000)
    for what, found in took.items():
        yield Finding(f"one of {_MANY:,} endpoints changes: {what} after ms", spread(found, ".1f"))


def _compared(loads: tuple[list[Load], list[Load]], used: tuple[list[float], list[float]]) -> Iterator[Finding]:
    for count, found, spent in zip(("1 endpoint", f"{_MANY:,} endpoints"), loads, used, strict=True):
        yield Finding(f"{count}: p50 ms", spread([load.p50 for load in found], ".3f"))
        yield Finding(f"{count}: router's CPU µs a request", spread(spent, ".1f"))
    times = [after.p50 / before.p50 for before, after in zip(*loads, strict=True)]
    bar = "1.2"
    yield Finding(
        "p50 with 1,000 endpoints over that with one", spread(times, ".2f"), bar, statistics.median(times) <= 1.2
    )

"""An endpoint alone on its server, and among hundreds that are scaled to zero.

The others are serverless: each has a container whose workers go after a second, and then takes 20 MB or so. ``wrk`` is
pinned to one core, the router and the endpoint's model servers to the other, as in ``everything`` with one client.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.hosting.everything import BODY
from benchmarks.hosting.world import TRIVIAL, Hosted, awaited, deploy, two_cores
from benchmarks.load import Load, cpu_seconds, resident_mb, script, wrk
from benchmarks.report import Finding, spread
from benchmarks.server import Server

_NAME, _OTHERS = "crowd", "others"
_MAKING = 4  # endpoints at a time
_MINUTE = 60.0
IDLE = {"WILDSAGE_SERVERLESS_IDLE": "1"}
"""The server's settings."""


def run(server: Server, rounds: int, seconds: int, count: int) -> Iterator[Finding]:
    hosted = deploy(server, _NAME, TRIVIAL, {"nothing": b""})
    control, router = (hosted.process(name) for name in ("control", "router"))
    router_core, client_core = two_cores()
    hosted.pin_models({router_core})
    os.sched_setaffinity(router, {router_core})
    alone = _loads(hosted, client_core, rounds, seconds)
    began, used = time.monotonic(), (cpu_seconds(control), cpu_seconds(router))
    _others(hosted, count)
    each = (time.monotonic() - began) / count
    spent = [1000 * (cpu_seconds(pid) - before) / count for pid, before in zip((control, router), used, strict=True)]
    yield Finding(f"each of {count} more endpoints is InService after: s", f"{each:.2f}")
    yield Finding("… processor time of control and the router: ms", ", ".join(f"{one:.1f}" for one in spent))
    among = _loads(hosted, client_core, rounds, seconds)
    yield Finding("alone: p50 ms", spread([load.p50 for load in alone], ".3f"))
    yield Finding(f"among {count}: p50 ms", spread([load.p50 for load in among], ".3f"))
    ratio = statistics.median(load.p50 for load in among) / statistics.median(load.p50 for load in alone)
    yield Finding(f"among {count}: p50 over that alone", f"{ratio:.2f}", "1.2", ratio <= 1.2)
    time.sleep(_MINUTE)  # what is looked at once each minute has seen all of them
    before = cpu_seconds(control)
    time.sleep(_MINUTE)
    yield Finding("control at rest: part of a core", f"{(cpu_seconds(control) - before) / _MINUTE:.3f}")
    memory = ", ".join(f"{resident_mb(pid):.0f}" for pid in (control, router))
    yield Finding("resident memory of control and the router: MB", memory)


def _loads(hosted: Hosted, core: int, rounds: int, seconds: int) -> list[Load]:
    lua = script(hosted.server.folder / "crowd.lua", hosted.url, BODY, "application/json", hosted.credentials)
    return [wrk(hosted.url, lua, 1, seconds, core) for _ in range(rounds)]


def _others(hosted: Hosted, count: int) -> None:
    sagemaker = hosted.clients.sagemaker
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    variant = {"VariantName": "all", "ModelName": _NAME, "ServerlessConfig": serverless}
    sagemaker.create_endpoint_config(EndpointConfigName=_OTHERS, ProductionVariants=[variant])

    def make(number: int) -> None:
        sagemaker.create_endpoint(EndpointName=f"{_OTHERS}-{number}", EndpointConfigName=_OTHERS)
        awaited(hosted.clients, f"{_OTHERS}-{number}")

    with ThreadPoolExecutor(_MAKING) as pool:
        list(pool.map(make, range(count)))

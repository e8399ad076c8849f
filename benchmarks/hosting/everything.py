"""What the router adds and how much it bears with everything on: SigV4, two variants, metrics, capture at 10 %.

``wrk`` calls the model server itself (the same code, started by hand, on TCP) and the endpoint. The client has one
core, the router the other. At one client the model servers are on the router's core, since waking a third process
elsewhere costs a virtual machine 60 µs that are not the router's; at 32 clients they are on the client's, so that the
router has one to itself.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks.hosting.world import CAPTURED_PERCENT, TRIVIAL, WEIGHTS, Hosted, deploy, two_cores
from benchmarks.load import Load, cpu_seconds, median, script, stop, wrk
from benchmarks.modelserver import model_server, until_ready
from benchmarks.report import Finding, spread
from benchmarks.server import Server
from benchmarks.startup import free_port

BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
_JSON = "application/json"
_SETTLE_SECONDS = 90.0
_MICROSECONDS = 1e6
_WARM_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """``used``: the router's CPU seconds for a request. ``asked``: how many requests the endpoint got altogether."""

    direct: list[Load]
    routed: list[Load]
    used: list[float]
    asked: float


def run(server: Server, rounds: int, seconds: int) -> Iterator[Finding]:
    hosted = deploy(server, "everything", TRIVIAL, {"nothing": b""})
    said = f"REFUSED: {hosted.refusal}" if hosted.refusal else f"on, {CAPTURED_PERCENT} % of requests and answers"
    yield Finding("data capture through CreateEndpointConfig", said, "on", not hosted.refusal)
    port = free_port()
    (server.folder / "model").mkdir()
    by_hand = model_server(server.folder, "direct", TRIVIAL, {"SAGEMAKER_BIND_TO_PORT": str(port)})
    try:
        direct = f"http://127.0.0.1:{port}"
        until_ready(f"{direct}/ping")
        asked = 0.0
        for clients in (1, 32):
            seen = _loads(hosted, f"{direct}/invocations", by_hand, clients, rounds, seconds)
            asked += seen.asked
            yield from _one_client(seen.direct, seen.routed) if clients == 1 else _many(seen.routed, seen.used)
    finally:
        stop([by_hand])
    yield from _counted(hosted, asked)


def _loads(
    hosted: Hosted, direct: str, by_hand: subprocess.Popen[str], clients: int, rounds: int, seconds: int
) -> Seen:
    """Rounds in turn."""
    router_core, client_core = two_cores()
    model_core = router_core if clients == 1 else client_core
    router = hosted.process("router")
    hosted.pin_models({model_core})
    os.sched_setaffinity(router, {router_core})
    children = Path(f"/proc/{by_hand.pid}/task/{by_hand.pid}/children").read_text().split()
    for pid in map(int, children):
        os.sched_setaffinity(pid, {model_core})
    folder = hosted.server.folder
    direct_lua = script(folder / "direct.lua", direct, BODY, _JSON)
    routed_lua = script(folder / "routed.lua", hosted.url, BODY, _JSON, hosted.credentials)
    asked = wrk(hosted.url, routed_lua, clients, _WARM_SECONDS, client_core).rate * _WARM_SECONDS
    loads: tuple[list[Load], list[Load]] = ([], [])
    used = []
    for _ in range(rounds):
        loads[0].append(wrk(direct, direct_lua, clients, seconds, client_core))
        before = cpu_seconds(router)
        loads[1].append(wrk(hosted.url, routed_lua, clients, seconds, client_core))
        served = loads[1][-1].rate * seconds
        used.append((cpu_seconds(router) - before) / served)
        asked += served
    return Seen(*loads, used, asked)


def _one_client(direct: list[Load], routed: list[Load]) -> Iterator[Finding]:
    yield Finding("1 client, direct: p50 ms", spread([load.p50 for load in direct], ".3f"))
    yield Finding("1 client, endpoint: p50 ms", spread([load.p50 for load in routed], ".3f"))
    added = [after.p50 - before.p50 for before, after in zip(direct, routed, strict=True)]
    yield Finding("1 client: p50 ms over direct", spread(added, ".3f"), "0.15", statistics.median(added) <= 0.15)


def _many(routed: list[Load], used: list[float]) -> Iterator[Finding]:
    rate, tail = median(routed).rate, median(routed).p99
    yield Finding("32 clients: requests/s", spread([load.rate for load in routed]), "12,000", rate >= 12_000)
    yield Finding("32 clients: p99 ms", spread([load.p99 for load in routed], ".2f"), "10", tail < 10)
    yield Finding("32 clients: router's CPU µs a request", spread([each * _MICROSECONDS for each in used], ".1f"))
    per_core = [1 / each for each in used]
    enough = statistics.median(per_core) >= 12_000
    yield Finding("32 clients: requests for a second of the router's CPU", spread(per_core), "12,000", enough)


def _counted(hosted: Hosted, asked: float) -> Iterator[Finding]:
    """That all of it was really on: metrics count what was asked, by weight, and a tenth is in S3."""
    cloudwatch = boto3.client(
        "cloudwatch",
        endpoint_url=hosted.server.url,
        region_name="us-east-1",
        **dict(
            zip(
                ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
                hosted.credentials.get_frozen_credentials()[:3],
                strict=True,
            )
        ),
    )
    deadline = time.monotonic() + _SETTLE_SECONDS
    counted: dict[str, float] = {}
    captured = 0
    while time.monotonic() < deadline:
        counted = {variant: _invocations(cloudwatch, hosted.name, variant) for variant in WEIGHTS}
        captured = 0 if hosted.refusal else hosted.captured()
        settled = hosted.refusal or captured >= 0.9 * sum(counted.values()) * CAPTURED_PERCENT / 100
        if sum(counted.values()) >= asked * 0.98 and settled:
            break
        time.sleep(2)
    total = sum(counted.values())
    yield Finding(
        "metrics: Invocations counted of those wrk saw", f"{total / asked:.3f}", "1 ± 0.05", 0.95 < total / asked < 1.05
    )
    share = counted["three"] / total if total else 0.0
    yield Finding(
        "metrics: share of the variant weighted 3 to 1", f"{share:.4f}", "0.75 ± 0.01", abs(share - 0.75) < 0.01
    )
    if not hosted.refusal:
        part = captured / total if total else 0.0
        yield Finding("capture: part of the requests in S3", f"{part:.4f}", "0.1 ± 0.01", abs(part - 0.1) < 0.01)


def _invocations(cloudwatch: Any, endpoint: str, variant: str) -> float:
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=7200,
        Statistics=["Sum"],
    )
    return sum(float(point["Sum"]) for point in answer["Datapoints"])

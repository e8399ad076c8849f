"""Containers of an engine: how soon they run, beside ``docker run`` by hand; how far away they are, beside a sandbox.

    python -m benchmarks.containers [--runs 7] [--seconds 3] [--rounds 5] [--image NAME]

Both want an engine at its usual place (or DOCKER_HOST) and an image with python3: the tests' own Debian, unless another
is named. The second part loads one router and the same small server in a container and in a sandbox with ``wrk``, in
turns; what the router adds is its time less that of calling the server directly over TCP, in the same run. "Submit" is
CreateTrainingJob on a server of its own, whose container says the time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.debian_image import debian_image

from benchmarks.jobs import said
from benchmarks.load import Load, median, script, snapshot, start, stop, wrk
from benchmarks.report import Finding, spread
from benchmarks.server import Clients, running_server
from wildsage.runtimes.base import Handle, LaunchSpec, Runtime
from wildsage.runtimes.containers.engine import Engine
from wildsage.runtimes.containers.runtime import Containers
from wildsage.runtimes.sandbox.runtime import Sandbox

_FIRST_LINE = "import time; print('first', time.time(), flush=True)"
_MOST_OVER = 1.0  # seconds over docker run by hand
_MOST_FARTHER = 0.05  # milliseconds: less than what two rounds of the same differ by
_CLIENT_CORE = 1
_BODY = b'{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
_SERVER = """
import asyncio, os
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 21\\r\\n\\r\\n"
ANSWER += b'{"predictions": [0]}\\n'
class Trivial(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.seen = transport, b""
    def data_received(self, data):
        self.seen += data
        if self.seen.endswith(b"0.2]]}"): self.seen = b""; self.transport.write(ANSWER)
async def main():
    loop = asyncio.get_running_loop()
    bind = os.environ.get("WILDSAGE_BIND", "").removeprefix("unix:")
    if bind: await loop.create_unix_server(Trivial, bind)
    place = os.environ.get("PLACE", "0.0.0.0:8080").split(":")
    await loop.create_server(Trivial, place[0], int(place[1]))
    print("listening", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def by_hand(image: str) -> float:
    """Seconds from ``docker run`` to the first line of user code."""
    begun = time.time()
    command = ["docker", "run", "--rm", image, "python3", "-c", _FIRST_LINE]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(out.split()[1]) - begun


async def launched(runtime: Runtime, image: str) -> tuple[float, float]:
    """Seconds from the call of launch to the first line, and those that its removal took."""
    with tempfile.TemporaryDirectory() as folder:
        argv = ("python3", "-c", _FIRST_LINE)
        spec = LaunchSpec("bench", Path(folder), argv, {}, image=image, memory_bytes=1 << 30, cpus=1.0)
        begun = time.time()
        handle = await runtime.launch(spec)
        (line,) = [line.text async for line in runtime.logs(handle, follow=True)]
        ended = time.time()
        await runtime.remove(handle)
        return float(line.split()[1]) - begun, time.time() - ended


def submitted(clients: Clients, image: str) -> float:
    """Seconds from calling CreateTrainingJob to the first line of user code in the job's log."""
    name = f"submit-{uuid.uuid4().hex[:8]}"
    begun = time.time()
    clients.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=clients.role,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "-c"],
            "ContainerArguments": [_FIRST_LINE],
        },
        OutputDataConfig={"S3OutputPath": "s3://benchmark/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    (line,) = [each for each in said(clients, name) if each.startswith("first ")]
    return float(line.split()[1]) - begun


async def starts(runtime: Runtime, image: str, runs: int, clients: Clients) -> list[Finding]:
    hand, launches, submits, removed = [], [], [], []
    await launched(runtime, image)
    for _ in range(runs):
        hand.append(await asyncio.to_thread(by_hand, image))
        first, gone = await launched(runtime, image)
        launches.append(first)
        removed.append(gone)
        submits.append(await asyncio.to_thread(submitted, clients, image))
    over = statistics.median(submits) - statistics.median(hand)
    return [
        Finding("docker run by hand to its first line, s", spread(hand, ".3f")),
        Finding("launch() to the first line, s", spread(launches, ".3f")),
        Finding("submit to the first line, s", spread(submits, ".3f")),
        Finding("the same over docker run by hand, s", f"{over:+.3f}", f"{_MOST_OVER:g} at most", over <= _MOST_OVER),
        Finding("remove() after its end, s", spread(removed, ".3f")),
    ]


@asynccontextmanager
async def serving(runtime: Runtime, argv: tuple[str, ...], image: str, place: str) -> AsyncIterator[Handle]:
    """The small server, listening; where there is no image also at ``place`` of the machine's loopback."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        environment = {} if image else {"PLACE": place, "PATH": "/usr/bin:/bin"}
        spec = LaunchSpec("serves", Path(folder), (*argv, "-c", _SERVER), environment, image=image, serves=True)
        handle = await runtime.launch(spec)
        try:
            async for line in runtime.logs(handle, follow=True):
                if line.text == "listening":
                    break
            yield handle
        finally:
            await runtime.remove(handle)


def called(folder: Path, address: str, direct: str, clients: int, seconds: int) -> tuple[Load, Load]:
    """Through a router of its own, and directly."""
    data = Path(tempfile.mkdtemp(dir=folder))
    (data / "routes.json").write_text(snapshot(address, 0).to_json())
    router, line = start([sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"], core=0)
    try:
        url = f"{line.removeprefix('listening on ')}/endpoints/iris/invocations"
        routed = wrk(url, script(data / "routed.lua", url, _BODY, "application/json"), clients, seconds, _CLIENT_CORE)
        there = f"http://{direct}/invocations"
        straight = script(data / "direct.lua", there, _BODY, "application/json")
        return routed, wrk(there, straight, clients, seconds, _CLIENT_CORE)
    finally:
        stop([router])


async def distances(engine: Runtime, image: str, seconds: int, rounds: int) -> list[Finding]:
    found = []
    sandbox, place = Sandbox(), "127.0.0.1:18080"
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving(engine, ("python3",), image, "") as contained,
            serving(sandbox, (python,), "", place) as native,
        ):
            there = engine.address_of(contained)
            ways = {"container": (there, there.removeprefix("tcp:")), "sandbox": (sandbox.address_of(native), place)}
            for clients in (1, 32):
                seen: dict[str, list[tuple[Load, Load]]] = {name: [] for name in ways}
                for _ in range(rounds):
                    for name, (address, direct) in ways.items():
                        pair = await asyncio.to_thread(called, Path(folder), address, direct, clients, seconds)
                        seen[name].append(pair)
                found += compared(clients, seen)
    return found


def compared(clients: int, seen: dict[str, list[tuple[Load, Load]]]) -> list[Finding]:
    """What each way costs, and how much farther a container is."""
    added, lines = {}, []
    for name, pairs in seen.items():
        routed, direct = median([one for one, _ in pairs]), median([two for _, two in pairs])
        added[name] = routed.p50 - direct.p50
        figure = f"{routed.p50:.3f} ms, {added[name]:+.3f} over direct; {routed.rate:,.0f}/s"
        lines.append(Finding(f"InvokeEndpoint to a {name}, {clients} clients, p50", figure))
    farther = added["container"] - added["sandbox"]
    bar = f"{_MOST_FARTHER:g} at most" if clients == 1 else ""
    lines.append(
        Finding(f"a container is farther by, {clients} clients, ms", f"{farther:+.3f}", bar, farther <= _MOST_FARTHER)
    )
    return lines


async def measure(options: argparse.Namespace) -> list[Finding]:
    engine = Engine(os.environ)
    image = options.image or await asyncio.to_thread(debian_image, engine.address)
    runtime = Containers(engine)
    with running_server() as server:
        found = await starts(runtime, image, options.runs, server.clients())
    if shutil.which("wrk") is None:
        print("wrk is missing, so the router is left out: apt-get install wrk", file=sys.stderr)
        return found
    return found + await distances(runtime, image, options.seconds, options.rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description="Containers of an engine beside docker run, and beside a sandbox.")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image", default="")
    found = asyncio.run(measure(parser.parse_args()))
    for finding in found:
        print(finding)
    return 0 if all(finding.met for finding in found) else 1


if __name__ == "__main__":
    sys.exit(main())

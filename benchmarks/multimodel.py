"""Multi-model endpoints: ``python -m benchmarks.multimodel``.

What a request to a loaded model costs beside one to a real-time endpoint of the same model, turn by turn; how long a
model's first request takes; and many models in rotation over a cache that holds few of them.

Two processes that do the same differ by some 5 % on one machine, whatever they serve: by where their memory lies. So
several endpoints are compared with as many models. The third kind are the same endpoints asked with a signed header
more, of a TargetModel's length, that changes nothing: what naming a model costs apart from there being many.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import pickle
import random
import statistics
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import sklearn.datasets
import sklearn.linear_model
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.report import Finding
from benchmarks.server import Clients, Server, running_server, wildsage
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import BytesBody, Headers, Request

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
BUCKET = "models"
SCRIPT = """
import os, pickle
def model_fn(folder):
    with open(os.path.join(folder, "model.pkl"), "rb") as file:
        return pickle.load(file)
"""
BODY = b"5.1,3.5,1.4,0.2\n"
CLIENTS = 8
SAME = 4
"""Endpoints, and models, that are compared."""
TURN, WARMING = 25, 5
"""Requests in a row of one of them; before these some that do not count, until it is in the caches again."""


class Case(NamedTuple):
    """What is asked. ``attributes``: CustomAttributes."""

    endpoint: str
    target: str = ""
    attributes: str = ""


PLAIN, HEADER, MANY = "real-time", "real-time, a header more", "multi-model"
KINDS = {
    PLAIN: [Case(f"plain{number}") for number in range(SAME)],
    HEADER: [Case(f"plain{number}", attributes=f"m{number}.tar.gz") for number in range(SAME)],
    MANY: [Case("many", f"m{number}.tar.gz") for number in range(SAME)],
}


def tar(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def model() -> bytes:
    """A logistic regression on iris: a small model as many customers have many of."""
    rows, labels = sklearn.datasets.load_iris(return_X_y=True)
    return pickle.dumps(sklearn.linear_model.LogisticRegression(max_iter=1000).fit(rows, labels))


@dataclass
class Caller:
    """Signs once for each endpoint and model."""

    server: Server
    client: Client
    signed: dict[Case, Headers]

    async def ask(self, case: Case) -> float:
        """Seconds until the answer. Raises RuntimeError for any but a good one."""
        path = f"/endpoints/{case.endpoint}/invocations"
        headers = self.signed.get(case) or self._sign(case, path)
        at = urlsplit(self.server.url)
        began = time.perf_counter()
        request = Request("POST", path, headers, BytesBody(BODY))
        status, _, body = await self.client.whole(f"tcp:{at.hostname}:{at.port}", request, 90)
        if status != 200:
            raise RuntimeError(f"{status} {body.decode()[:500]}")
        return time.perf_counter() - began

    def _sign(self, case: Case, path: str) -> Headers:
        environment = self.server.environment
        keys = (environment.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"))
        said = {"Target-Model": case.target, "Custom-Attributes": case.attributes}
        named = {f"X-Amzn-SageMaker-{name}": value for name, value in said.items() if value}
        headers = {"Content-Type": "text/csv", **named}
        request = AWSRequest("POST", self.server.url + path, data=BODY, headers=headers)
        SigV4Auth(Credentials(*keys), "sagemaker", environment["AWS_DEFAULT_REGION"]).add_auth(request)
        host = urlsplit(self.server.url).netloc
        own = [("host", host), ("content-length", str(len(BODY)))]
        found = [*own, *((name.lower(), value) for name, value in request.headers.items() if name.lower() != "host")]
        self.signed[case] = found
        return found


def processor_seconds(server: Server) -> dict[str, float]:
    """Of the server's own processes."""
    pids = json.loads(wildsage("status", "--json", data=server.data))["processes"]
    return {name: seconds_of(pids[name]) for name in ("control", "router")}


def serving(server: Server) -> list[int]:
    """The processes of the router and of this server's model servers."""
    found = [json.loads(wildsage("status", "--json", data=server.data))["processes"]["router"]]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = server.url.encode() in (folder / "environ").read_bytes()
            if ours and b"toolkit/serve.py" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def seconds_of(pid: int) -> float:
    """To the nanosecond, of threads that live."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def deploy(clients: Clients, name: str, code: str, cache: int) -> None:
    """``cache`` 0: a real-time endpoint of one model."""
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/m0.tar.gz"}
    if cache:
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/", "Mode": "MultiModel"}
        environment["WILDSAGE_MOST_MODELS"] = str(cache)
    else:
        environment["SAGEMAKER_MODEL_SERVER_WORKERS"] = "1"
    clients.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=clients.role, PrimaryContainer={**container, "Environment": environment}
    )
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    clients.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


class Turn(NamedTuple):
    """What a request took. ``wait``: ms, the median; ``router``, ``servers``: processor time in µs."""

    wait: float
    router: float
    servers: float


async def turn(caller: Caller, case: Case, router: int, servers: list[int]) -> Turn:
    for _ in range(WARMING):
        await caller.ask(case)
    before = seconds_of(router), sum(map(seconds_of, servers))
    wait = statistics.median([await caller.ask(case) for _ in range(TURN)])
    after = seconds_of(router), sum(map(seconds_of, servers))
    return Turn(wait * 1e3, (after[0] - before[0]) / TURN * 1e6, (after[1] - before[1]) / TURN * 1e6)


async def loaded(caller: Caller, rounds: int) -> Finding:
    """Turn by turn, so that whatever else the machine does happens to all. Judged by processor time.

    Of each kind a round's mean over its cases; then the median round, and of the ratios of kinds the median of theirs.
    """
    router, *servers = serving(caller.server)
    seen: dict[str, list[Turn]] = {kind: [] for kind in KINDS}
    for number in range(rounds // TURN):
        turns: dict[str, list[Turn]] = {kind: [] for kind in KINDS}
        order = [
            (kind, case) for cases in zip(*KINDS.values(), strict=True) for kind, case in zip(KINDS, cases, strict=True)
        ]
        for kind, case in order[:: 1 if number % 2 else -1]:
            turns[kind].append(await turn(caller, case, router, servers))
        for kind, taken in turns.items():
            seen[kind].append(Turn(*map(statistics.mean, zip(*taken, strict=True))))
    for kind, taken in seen.items():
        wait, routing, serving_ = map(statistics.median, zip(*taken, strict=True))
        print(Finding(f"  {kind}", f"{wait:.3f} ms; {routing:.0f} µs in the router, {serving_:.0f} µs in the server"))
    many, header = (_ratio(seen[MANY], seen[kind]) for kind in (PLAIN, HEADER))
    figure = f"{many:.3f} x real-time, {header:.3f} x of a header more"
    return Finding("loaded model, processor time", figure, "no more than real-time (1.05 x)", many <= 1.05)


def _ratio(some: list[Turn], others: list[Turn]) -> float:
    """Of processor times in the same rounds."""
    pairs = zip(some, others, strict=True)
    return statistics.median((one.router + one.servers) / (other.router + other.servers) for one, other in pairs)


async def first(caller: Caller, count: int) -> Finding:
    took = [await caller.ask(Case("many", f"m{SAME + number}.tar.gz")) * 1e3 for number in range(count)]
    return Finding("first request: fetch, load, answer", f"{statistics.median(took):.1f} ms (most {max(took):.1f})")


async def rotation(caller: Caller, models: int, requests: int) -> Finding:
    numbers = iter([random.randrange(models) for _ in range(requests)])
    failures: list[str] = []

    async def one() -> None:
        for number in numbers:
            try:
                await caller.ask(Case("many", f"m{number}.tar.gz"))
            except (RuntimeError, OSError, TimeoutError) as error:
                failures.append(f"{type(error).__name__}: {error}")

    began, before = time.perf_counter(), processor_seconds(caller.server)
    await asyncio.gather(*(one() for _ in range(CLIENTS)))
    rate = requests / (time.perf_counter() - began)
    used = {name: (after - before[name]) / requests for name, after in processor_seconds(caller.server).items()}
    print(Finding("  processor time a request", ", ".join(f"{name} {used[name] * 1e3:.2f} ms" for name in used)))
    for each in failures[:3]:
        print(each, file=sys.stderr)
    what = f"{models} models over a cache of 50, {CLIENTS} clients"
    return Finding(what, f"{requests} requests, {len(failures)} failed, {rate:.0f}/s", "none fails", not failures)


async def measure(server: Server, models: int, requests: int, rounds: int) -> bool:
    client = Client()
    caller = Caller(server, client, {})
    met = True
    try:
        await caller.ask(KINDS[MANY][0])
        await asyncio.sleep(10)  # the front learns what that model has imported
        for kind in KINDS.values():
            for case in kind:
                await caller.ask(case)
        for finding in (
            await loaded(caller, rounds),
            await first(caller, min(40, models - SAME)),
            await rotation(caller, models, requests),
        ):
            print(finding, flush=True)
            met = met and finding.met
    finally:
        client.close()
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=2000, help="requests of each that is compared")
    chosen = parser.parse_args()
    with running_server() as server:
        clients = server.clients()
        clients.s3.create_bucket(Bucket=BUCKET)
        code = f"s3://{BUCKET}-code/code.tar.gz"
        clients.s3.create_bucket(Bucket=f"{BUCKET}-code")
        clients.s3.put_object(Bucket=f"{BUCKET}-code", Key="code.tar.gz", Body=tar(serve_py=SCRIPT.encode()))
        archive = tar(model_pkl=model())
        for number in range(chosen.models):
            clients.s3.put_object(Bucket=BUCKET, Key=f"m{number}.tar.gz", Body=archive)
        for case in KINDS[PLAIN]:
            deploy(clients, case.endpoint, code, 0)
        deploy(clients, "many", code, 50)
        met = asyncio.run(measure(server, chosen.models, chosen.requests, chosen.rounds))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

"""Serverless endpoints: cold starts, warm requests beside real-time ones, and what endpoints cost at rest.

    python -m benchmarks.serverless [--endpoints N] [--starts N]

The model is a random forest of scikit-learn's.  A cold start is what InvokeEndpoint takes when no worker is left, less
what it takes when one is.  At rest there is no worker: the memory is that of every process of the endpoint (keeper,
supervisor, template), and the endpoint's part of the process that all share.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from benchmarks.report import Finding, spread
from benchmarks.server import Clients, Server, running_server

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
IDLE = "1"
SCRIPT = """
import os, joblib
from sklearn.ensemble import RandomForestClassifier
def model_fn(folder): return joblib.load(os.path.join(folder, "model.joblib"))
"""
ROW = b"5.1,3.5,1.4,0.2\n"
_MIB = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serverless")
    parser.add_argument("--endpoints", type=int, default=100)
    parser.add_argument("--starts", type=int, default=15)
    options = parser.parse_args()
    os.environ["WILDSAGE_SERVERLESS_IDLE"] = IDLE
    findings = []
    with running_server() as server:
        clients = server.clients()
        prepare(clients)
        began = time.perf_counter()
        deploy(clients, "first", serverless=True)
        findings.append(
            Finding("the first serverless endpoint is InService after", f"{time.perf_counter() - began:.1f} s")
        )
        deploy(clients, "instances", serverless=False)
        findings += starts(server, clients, options.starts)
        findings += warm(clients)
        findings += at_rest(server, clients, options.endpoints)
    for finding in findings:
        print(finding)
    return int(not all(finding.met for finding in findings))


def prepare(clients: Clients) -> None:
    """The model and its script in S3."""
    features, labels = load_iris(return_X_y=True)
    model = io.BytesIO()
    joblib.dump(RandomForestClassifier(100, random_state=0).fit(features, labels), model)
    clients.s3.create_bucket(Bucket="benchmark")
    for key, name, data in (("model", "model.joblib", model.getvalue()), ("code", "serve.py", SCRIPT.encode())):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        clients.s3.put_object(Bucket="benchmark", Key=f"{key}.tar.gz", Body=packed.getvalue())
    variables = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://benchmark/code.tar.gz"}
    container = {"Image": IMAGE, "ModelDataUrl": "s3://benchmark/model.tar.gz", "Environment": variables}
    clients.sagemaker.create_model(ModelName="forest", ExecutionRoleArn=clients.role, PrimaryContainer=container)
    serverless = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}
    instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for name, more in (("serverless", serverless), ("instances", instances)):
        variant = {"VariantName": "all", "ModelName": "forest", **more}
        clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def deploy(clients: Clients, name: str, serverless: bool) -> None:
    config = "serverless" if serverless else "instances"
    clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    while (found := clients.sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] != "InService":
        if found["EndpointStatus"] == "Failed":
            raise RuntimeError(found["FailureReason"])
        time.sleep(0.02)


def took(clients: Clients, name: str) -> float:
    """Milliseconds of one request."""
    began = time.perf_counter()
    clients.runtime.invoke_endpoint(EndpointName=name, Body=ROW, ContentType="text/csv", Accept="text/csv")[
        "Body"
    ].read()
    return 1000 * (time.perf_counter() - began)


def starts(server: Server, clients: Clients, count: int) -> list[Finding]:
    """What a request takes for which a worker has to be forked, less what it takes afterwards."""
    keeper = keepers(server)[0]
    cold = []
    for _ in range(count):
        while any(children(pid) for pid in templates(keeper)):
            time.sleep(0.05)
        first = took(clients, "first")
        cold.append(first - statistics.median([took(clients, "first") for _ in range(15)]))
    middle = statistics.median(cold)
    return [Finding("cold start, less a warm request", f"{spread(cold, '.1f')} ms", "at most 60 ms", middle <= 60)]


def warm(clients: Clients) -> list[Finding]:
    """Requests in turn to a worker and to an instance, both of which have had a hundred."""
    names = ("first", "instances")
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(400):
        for name in names:
            times[name].append(took(clients, name))
    serverless, instances = (times[name][100:] for name in names)
    more = statistics.median(serverless) - statistics.median(instances)
    return [
        Finding("a warm request, serverless", f"{spread(serverless, '.2f')} ms"),
        Finding("a request to an instance", f"{spread(instances, '.2f')} ms"),
        Finding("serverless takes longer by", f"{more:.2f} ms", "as real-time: at most 0.2 ms", more <= 0.2),
    ]


def at_rest(server: Server, clients: Clients, count: int) -> list[Finding]:
    """Memory of ``count`` further endpoints without a worker."""
    known = set(keepers(server))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: deploy(clients, f"rest-{number}", serverless=True), range(count)))
    mine = [keeper for keeper in keepers(server) if keeper not in known]
    deadline = time.monotonic() + 60
    while any(children(pid) for keeper in mine for pid in templates(keeper)) and time.monotonic() < deadline:
        time.sleep(0.2)
    kinds = {"keeper": mine, "supervisor": below(mine), "template": below(below(mine))}
    each = {kind: sum(map(proportional, pids)) / len(mine) / _MIB for kind, pids in kinds.items()}
    whole = sum(each.values())
    parts = ", ".join(f"{kind} {size:.1f}" for kind, size in each.items())
    return [
        Finding(
            f"memory of each of {count} endpoints at rest (PSS)",
            f"{whole:.1f} MB ({parts})",
            "under 20 MB",
            whole < 20,
        )
    ]


def keepers(server: Server) -> list[int]:
    """Of instances whose template is a fork's fork, oldest first."""
    found = [int(path.read_text().split()[1]) for path in Path(server.data, "instances").glob("host-*/keeper")]
    return sorted(found)


def templates(keeper: int) -> list[int]:
    return below(below([keeper]))


def below(pids: list[int]) -> list[int]:
    return [child for pid in pids for child in children(pid)]


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def proportional(pid: int) -> int:
    """Bytes; what several processes share counts for each in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())

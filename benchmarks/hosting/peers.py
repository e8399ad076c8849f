"""scikit-learn's iris on an endpoint with everything on, beside other servers of the same four functions.

Each has two workers (ours: two variants of one instance with one) and is called by ``wrk`` with 32 clients in turn, so
that all see the same machine; nothing is pinned. Ours alone checks signatures, splits by weight, counts and captures.
Every server gets what it reads most naturally: CSV as it is, LitServe the same line within JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from benchmarks.hosting.world import deploy
from benchmarks.load import Load, median, script, stop, wrk
from benchmarks.modelserver import INFERENCE, peer, until_ready
from benchmarks.report import Finding, spread
from benchmarks.server import Server
from benchmarks.startup import free_port

_CLIENTS, _WORKERS = 32, 2
_CSV = b"5.1,3.5,1.4,0.2"
_READY_SECONDS = 180.0

RAY = """
import os, signal, sys
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

@serve.deployment(num_replicas={workers}, max_ongoing_requests=100, ray_actor_options={{"num_cpus": 0.1}})
class Iris:
    def __init__(self):
        sys.path.insert(0, "{folder}")
        from inference import input_fn, model_fn, output_fn, predict_fn
        self.functions, self.model = (input_fn, predict_fn, output_fn), model_fn("{folder}/model")

    async def __call__(self, request: Request) -> Response:
        read, predict, write = self.functions
        body, kind = write(predict(read(await request.body(), "text/csv"), self.model), "text/csv")
        return Response(body, media_type=kind)

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
serve.start(http_options={{"host": "127.0.0.1", "port": {port}}})
serve.run(Iris.bind(), route_prefix="/invocations")
print("ready", flush=True)
signal.sigwait({{signal.SIGTERM, signal.SIGINT}})
serve.shutdown()
ray.shutdown()
"""

LIT = """
import litserve
from inference import input_fn, model_fn, output_fn, predict_fn

class Iris(litserve.LitAPI):
    def setup(self, device):
        self.model = model_fn("{folder}/model")

    def decode_request(self, request):
        return input_fn(request["input"], "text/csv")

    def predict(self, data):
        return predict_fn(data, self.model)

    def encode_response(self, output):
        return {{"output": output_fn(output, "text/csv")[0]}}

if __name__ == "__main__":
    server = litserve.LitServer(Iris(api_path="/invocations"), accelerator="cpu", workers_per_device={workers})
    server.run(host="127.0.0.1", port={port}, num_api_servers=1, log_level="error", generate_client_file=False)
"""


def run(server: Server, packages: Path, rounds: int, seconds: int) -> Iterator[Finding]:
    """``packages``: the virtual environment that has the peers."""
    folder = server.folder / "peers"
    (folder / "model").mkdir(parents=True)
    features, labels = load_iris(return_X_y=True)
    model = pickle.dumps(LogisticRegression(max_iter=1000).fit(features, labels))
    (folder / "model" / "model.pkl").write_bytes(model)
    (folder / "inference.py").write_text(INFERENCE)
    hosted = deploy(server, "iris", INFERENCE, {"model.pkl": model})
    if hosted.refusal:
        yield Finding("Wildsage runs without capture", hosted.refusal)
    ours = script(folder / "ours.lua", hosted.url, _CSV, "text/csv", hosted.credentials)
    wrk(hosted.url, ours, _CLIENTS, 1, None)
    for name, start in (
        ("Ray Serve", _ray_serve),
        ("LitServe", _litserve),
        ("nginx + gunicorn + Flask", _flask),
    ):
        with start(folder, packages) as (url, body, kind):
            theirs = script(folder / "theirs.lua", url, body, kind)
            wrk(url, theirs, _CLIENTS, 1, None)
            loads: tuple[list[Load], list[Load]] = ([], [])
            for _ in range(rounds):
                loads[0].append(wrk(url, theirs, _CLIENTS, seconds, None))
                loads[1].append(wrk(hosted.url, ours, _CLIENTS, seconds, None))
        yield from _compared(name, *loads)


def _compared(name: str, theirs: list[Load], ours: list[Load]) -> Iterator[Finding]:
    for who, loads in ((name, theirs), (f"Wildsage beside {name}", ours)):
        rates, tails = spread([load.rate for load in loads]), spread([load.p99 for load in loads], ".1f")
        yield Finding(f"{who}: requests/s; p99 ms", f"{rates}; {tails}")
    times = median(ours).rate / median(theirs).rate
    tail = median(ours).p99 < median(theirs).p99
    yield Finding(f"times {name}", f"{times:.2f}, p99 {'lower' if tail else 'HIGHER'}")


@contextlib.contextmanager
def _process(command: list[str], folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A peer in a process group of its own, which ends with it; what it says is in a file."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    environment.pop("PYTHONPATH", None)
    with (folder / "peer.log").open("w") as log:
        found = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, text=True, start_new_session=True
        )
    try:
        yield found
    finally:
        found.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            found.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.pid, signal.SIGKILL)
        found.wait(30)


def _until_it_answers(url: str, body: bytes, kind: str, folder: Path) -> None:
    """Waits for its first good answer; raises RuntimeError with the end of its log."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}), timeout=30):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                said = (folder / "peer.log").read_text()[-2000:]
                raise RuntimeError(f"{url} does not answer: {error}\n{said}") from error
        time.sleep(0.2)


@contextlib.contextmanager
def _ray_serve(folder: Path, packages: Path) -> Iterator[tuple[str, bytes, str]]:
    port = free_port()
    (folder / "ray_iris.py").write_text(RAY.format(folder=folder, port=port, workers=_WORKERS))
    command = [str(packages / "bin" / "python"), "ray_iris.py"]
    with _process(command, folder, RAY_USAGE_STATS_ENABLED="0"):
        url = f"http://127.0.0.1:{port}/invocations"
        _until_it_answers(url, _CSV, "text/csv", folder)
        yield url, _CSV, "text/csv"


@contextlib.contextmanager
def _litserve(folder: Path, packages: Path) -> Iterator[tuple[str, bytes, str]]:
    port = free_port()
    (folder / "lit_iris.py").write_text(LIT.format(folder=folder, port=port, workers=_WORKERS))
    with _process([str(packages / "bin" / "python"), "lit_iris.py"], folder):
        url, body = f"http://127.0.0.1:{port}/invocations", json.dumps({"input": _CSV.decode()}).encode()
        _until_it_answers(url, body, "application/json", folder)
        yield url, body, "application/json"


@contextlib.contextmanager
def _flask(folder: Path, packages: Path) -> Iterator[tuple[str, bytes, str]]:
    port = free_port()
    (site,) = (packages / "lib").glob("python*/site-packages")
    running = peer(folder, site, port)
    try:
        until_ready(f"http://127.0.0.1:{port}/ping")
        yield f"http://127.0.0.1:{port}/invocations", _CSV, "text/csv"
    finally:
        stop(running)

"""Lambda functions: a warm Invoke and a cold one, beside AWS's own client driven by hand.

    python -m benchmarks.functions [--calls N] [--starts N]

The peer is ``awslambdaric`` as a bare process, given its events by the smallest Runtime API there can be, in the same
run: no signature, no router, no container, no log.  What Wildsage adds to it is boto3's request, who may call, the
worker's container, and the log.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3

from benchmarks.report import Finding, spread
from benchmarks.server import Server, running_server

TEXT = """
import os
def handler(event, context):
    if event.get("exit"): os._exit(0)
    return event
"""
EVENT = {"key": "value"}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that is killed hangs up; that is all."""


class Peer:
    """``awslambdaric`` and its Runtime API. ``started``: seconds from its process to its first question."""

    def __init__(self, folder: Path) -> None:
        self._events: queue.Queue[bytes] = queue.Queue()
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._ready = threading.Event()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # an answer goes out as one piece, not as head and body that wait for each other

            def do_GET(self) -> None:
                peer._ready.set()
                event = peer._events.get()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f")
                self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(round(time.time() * 1000) + 60_000))
                self.send_header("Content-Length", str(len(event)))
                self.end_headers()
                self.wfile.write(event)

            def do_POST(self) -> None:
                peer._answers.put(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "main.handler"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}"},
        )
        if not self._ready.wait(60):
            raise TimeoutError("the peer does not start")
        self.started = time.perf_counter() - began

    def call(self, event: bytes) -> float:
        """Seconds until it had answered."""
        began = time.perf_counter()
        self._events.put(event)
        self._answers.get(timeout=60)
        return time.perf_counter() - began

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._server.shutdown()


@contextmanager
def peer() -> Iterator[Peer]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").write_text(TEXT)
        found = Peer(Path(folder))
        try:
            yield found
        finally:
            found.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.functions")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--starts", type=int, default=15)
    options = parser.parse_args()
    with running_server() as server:
        client = create(server)
        for finding in (*warm(client, options.calls), *cold(client, options.starts)):
            print(finding)
    return 0


def create(server: Server) -> Any:
    """A client; the function is Active and warm."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION")
    session = boto3.Session(*(server.environment.get(name) for name in names))
    client = session.client("lambda", endpoint_url=server.url)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", TEXT)
    client.create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=server.environment["WILDSAGE_ROLE"],
        Handler="main.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    seconds(client, EVENT)
    return client


def seconds(client: Any, event: dict[str, Any]) -> float:
    """What one Invoke takes."""
    began = time.perf_counter()
    client.invoke(FunctionName="f", Payload=json.dumps(event))["Payload"].read()
    return time.perf_counter() - began


def warm(client: Any, calls: int) -> list[Finding]:
    bare, ours = [], []
    with peer() as other:
        other.call(b"{}")
        for _ in range(calls):  # by turns, so that both see the same machine
            bare.append(other.call(json.dumps(EVENT).encode()) * 1000)
            ours.append(seconds(client, EVENT) * 1000)
    return [
        Finding("warm: the bare client of the Runtime API, ms", spread(bare, ".2f")),
        Finding("warm: Invoke through boto3, ms", f"{spread(ours, '.2f')}, {_ratio(ours, bare)}"),
    ]


def cold(client: Any, starts: int) -> list[Finding]:
    bare, ours = [], []
    for _ in range(starts):
        with peer() as other:
            bare.append((other.started + other.call(json.dumps(EVENT).encode())) * 1000)
        seconds(client, {"exit": True})
        ours.append(seconds(client, EVENT) * 1000)
    return [
        Finding("cold: the bare client, from its process to its answer, ms", spread(bare, ".0f")),
        Finding("cold: Invoke without a worker, ms", f"{spread(ours, '.0f')}, {_ratio(ours, bare)}"),
    ]


def _ratio(ours: list[float], bare: list[float]) -> str:
    return f"{statistics.median(ours) / statistics.median(bare):.1f} times the peer's"


if __name__ == "__main__":
    sys.exit(main())

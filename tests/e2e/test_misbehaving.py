"""A router as a process among containers and clients that misbehave: its memory is bounded, other traffic unharmed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Server, clean_environment
from tests.e2e.load import Load, signed_headers
from tests.waiting import wait_until
from wildsage.core.routes import EVERYTHING, Endpoint, Instance, Invoker, Key, Routes, Variant, endpoint_key

ACCOUNT = "000000000000"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
MOST_MB = 64  # that the router may grow by
MEGABYTE = 1024 * 1024
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
    await reader.readexactly(int(length))


async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)
    writer.write(bytes(range(256)) * 100)
    await writer.drain()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(MEGABYTE))
        await writer.drain()


MODELS: dict[str, Answer] = {"good": good, "garbage": garbage, "endless": endless}


class Containers:
    """Model servers on unix sockets, in a thread of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Containers:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    def address(self, name: str) -> str:
        return f"unix:{self._folder}/{name}.sock"

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        servers = [
            await asyncio.start_unix_server(_until_gone(answer), self._folder / f"{name}.sock")
            for name, answer in MODELS.items()
        ]
        self._ready.set()
        await self._over.wait()
        for server in servers:
            server.close()


def _until_gone(answer: Answer) -> Answer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await answer(reader, writer)
        writer.transport.abort()

    return serve


@pytest.fixture(scope="module")
def server(short_directory: Path) -> Iterator[Server]:
    """A router alone, whose endpoints are named after their models; a model may take two seconds."""
    folder = short_directory / "misbehaving"
    folder.mkdir()
    with Containers(folder) as containers:
        endpoints = {
            endpoint_key("us-east-1", name): Endpoint(
                name,
                "us-east-1",
                f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/{name}",
                "InService",
                name,
                f"/aws/sagemaker/Endpoints/{name}",
                (Variant("all", 1.0, (Instance(name, containers.address(name)),)),),
            )
            for name in MODELS
        }
        keys = {"AKIAROOT": Key("secret", ROOT, ACCOUNT, ROOT)}
        routes = Routes(1, ACCOUNT, "00" * 32, keys, {ROOT: Invoker(ACCOUNT, EVERYTHING)}, endpoints)
        (folder / "routes.json").write_text(routes.to_json())
        command = [sys.executable, "-m", "wildsage.dataplane", "--data", str(folder), "--port", "0"]
        environment = {**clean_environment(), "WILDSAGE_INVOKE_SECONDS": "2"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        known = {
            "AWS_ENDPOINT_URL": process.stdout.readline().removeprefix("listening on ").strip(),
            "AWS_ACCESS_KEY_ID": "AKIAROOT",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "",
            "AWS_REGION": "us-east-1",
        }
        found = Server(folder, process, known)
        try:
            yield found
        finally:
            found.stop()


@pytest.fixture
def load(server: Server) -> Iterator[Load]:
    """A steady one on ``good``, meanwhile; of which no request fails, and for which the router does not grow."""
    with Load(server, "good") as found:
        found.more(200)
        before = _resident_mb(server)
        yield found
        found.more(200)
        assert _resident_mb(server) - before < MOST_MB
    assert found.failures == []
    assert set(found.answers) == {"ok"}
    wait_until(lambda: _underway(server) == {}, 60)


def _resident_mb(server: Server) -> float:
    (size,) = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    return int(size) / 1024


def _underway(server: Server) -> object:
    """Requests that the router still has at instances."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(os.fspath(server.data / "run" / "router-0.sock"))
        sock.sendall(b"GET /counters HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    return json.loads(said.partition(b"\r\n\r\n")[2])["underway"]


def invoke(server: Server, name: str, body: bytes = b"[1]", missing: int = 0) -> socket.socket:
    """A connection on which an invocation was sent, but for the last ``missing`` bytes of its body."""
    at = urlsplit(server.url)
    assert at.hostname is not None and at.port is not None
    path = f"/endpoints/{name}/invocations"
    head = "".join(f"{header}: {value}\r\n" for header, value in signed_headers(server, path, body))
    sock = socket.create_connection((at.hostname, at.port), 60)
    sock.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body[: len(body) - missing])
    return sock


def test_a_container_answers_garbage(server: Server, load: Load) -> None:
    for _ in range(100):
        with invoke(server, "garbage") as sock:
            assert sock.recv(65536).startswith(b"HTTP/1.1 424 ")


def test_an_answer_without_end_is_cut(server: Server, load: Load) -> None:
    with invoke(server, "endless") as sock:
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(MEGABYTE):
                received += len(data)
    assert received > MEGABYTE


def test_clients_that_do_not_read(server: Server, load: Load) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(invoke(server, "endless"))
        load.more(500)


def test_clients_that_hang_up(server: Server, load: Load) -> None:
    for number in range(200):
        with invoke(server, "endless") as sock:
            if number % 2:
                assert sock.recv(1000)
    for _ in range(5):
        for _ in range(20):
            invoke(server, "good", bytes(MEGABYTE), missing=1000).close()
        load.more(20)


def test_clients_that_send_slowly(server: Server, load: Load) -> None:
    body = bytes(200_000)
    slow = [invoke(server, "good", body, missing=len(body) - 1000) for _ in range(50)]
    for piece in range(1000, 11_000, 1000):
        for sock in slow:
            sock.sendall(body[piece : piece + 1000])
        load.more(20)
    for sock in slow:
        sock.sendall(body[11_000:])
    for sock in slow:
        with sock:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")

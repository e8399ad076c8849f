"""The serverless model server by itself: what is forked, streamed answers, connections that outlive workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.toolkit_serve.served import Served, serving, until

from wildsage.wire.http.messages import Response

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
IDLE = {"WILDSAGE_SERVERLESS_IDLE_SECONDS": "0.3", **ONE_THREAD}

SCRIPT = """
import json, os, time
{more}
def model_fn(folder):
    {load}
    return os.getpid()
def input_fn(body, content_type): return json.loads(body)
def predict_fn(asked, model): return [model, os.getpid(), asked]
def output_fn(found, accept):
    if found[2] != "stream":
        return json.dumps(found), accept
    def pieces():
        yield "one "
        time.sleep(0.2)
        yield "two"
    return pieces(), "text/plain"
"""
PLAIN = SCRIPT.format(more="", load="pass")


async def ask(served: Served, what: Any) -> Any:
    answer = await served.invoke(json.dumps(what).encode(), "application/json", "application/json")
    assert answer.status == 200, body_of(answer)
    return json.loads(body_of(answer))


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def template(served: Served) -> int:
    return served.workers()[0]


def workers(served: Served) -> list[int]:
    text = Path(f"/proc/{template(served)}/task/{template(served)}/children").read_text()
    return [int(pid) for pid in text.split()]


async def test_connections_outlive_workers(tmp_path: Path) -> None:
    """The client's kept connection is served by one fork after the other."""
    async with serving(tmp_path, "sklearn", PLAIN, **IDLE) as served:
        found = set()
        for _ in range(3):
            loaded, pid, _ = await ask(served, None)
            assert loaded == template(served)
            found.add(pid)
            await until(lambda: not workers(served))
        assert len(found) == 3
        os.kill(template(served), signal.SIGKILL)
        await until(lambda: "starting another" in served.log.read_text())
        assert (await ask(served, 7))[2] == 7


async def test_workers_are_kept(tmp_path: Path) -> None:
    """As many as are provisioned; their number can be changed while it runs."""
    async with serving(tmp_path, "sklearn", PLAIN, WILDSAGE_SERVERLESS_PROVISIONED="2", **IDLE) as served:
        await until(lambda: len(workers(served)) == 2)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "pool.sock")
        writer.write(json.dumps({"provisioned": 1}).encode())
        said = json.loads(await reader.read())
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        assert said["peak_memory_bytes"] > 0
        await until(lambda: len(workers(served)) == 1)


async def test_pieces_are_streamed(tmp_path: Path) -> None:
    """What output_fn yields is on its way before the next is made."""
    async with serving(tmp_path, "sklearn", PLAIN, **IDLE) as served:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "serve.sock")
        head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n"
        writer.write(head + b'"stream"')
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in answer
        assert b"content-type: text/plain" in answer
        assert await reader.readuntil(b"one \r\n") == b"4\r\none \r\n"
        assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"
        writer.close()
        await writer.wait_closed()
        assert (await ask(served, 1))[2] == 1


@pytest.mark.parametrize(
    ("framework", "more", "load", "words"),
    [
        ("pytorch", "import torch", "torch.nn.Linear(8, 8)(torch.zeros(1, 8))", ""),
        (
            "sklearn",
            "import threading",
            "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
            "thread",
        ),
        ("sklearn", "import socket", "global kept; kept = socket.socketpair()", "connection"),
    ],
)
async def test_what_can_be_forked(tmp_path: Path, framework: str, more: str, load: str, words: str) -> None:
    """Else the log says why not, and each worker loads the model."""
    async with serving(tmp_path, framework, SCRIPT.format(more=more, load=load), **IDLE) as served:
        loaded, pid, _ = await ask(served, None)
        log = served.log.read_text()
        assert ("cannot be forked" in log) == bool(words), log
        assert words in log
        assert (loaded == pid) == bool(words)


FULL = """
import os, socket, sys
from wildsage.toolkit.serving.http import Answer
from wildsage.toolkit.serving.serverless import pool
from wildsage.toolkit.serving.serverless.board import Board
pool.MOST = 2
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + "~")
listener.listen(16)
os.rename(sys.argv[1] + "~", sys.argv[1])
def answer(request): return Answer(200, "text/plain", str(os.getppid()).encode())
pool.Pool(listener, os.pipe()[0], None, Board(0), pool.Terms(0, 0.1, 0), lambda: answer).run()
"""


async def test_connections_wait_while_there_are_as_many_workers_as_there_may_be(short_directory: Path) -> None:
    place = short_directory / "s"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FULL, str(place))
    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        await until(place.exists)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for _ in range(5):  # idle workers leave theirs to the pool
            connections.append(await asyncio.open_unix_connection(str(place)))
            assert await answers(*connections[-1:]) == [process.pid]
            await until(lambda: not children.read_text())
        assert await answers(*connections) == [process.pid] * 5
    finally:
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()
        process.terminate()
        await process.wait()


async def answers(*connections: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> list[int]:
    """What is answered to requests that are sent at the same time."""
    for _, writer in connections:
        writer.write(b"POST /invocations HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
    found = []
    async with asyncio.timeout(60):
        for reader, _ in connections:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            found.append(int(await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))))
    return found

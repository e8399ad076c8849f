"""The model server's processes and its HTTP, with scripts that need no framework."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
from pathlib import Path

import pytest
from tests.unit.toolkit_serve.served import Served, serving, start, until

from wildsage.wire.http.messages import Response

ECHO = """
import os, sys, time
print("script imported", flush=True)
def model_fn(model_dir):
    return {"dir": model_dir, "pid": os.getpid()}
def transform_fn(model, data, content_type, accept):
    if content_type == "application/octet-stream":
        return data, content_type
    text = data if isinstance(data, str) else data.decode()
    if text == "raise":
        raise KeyError("no such thing")
    if text == "die":
        os._exit(7)
    if text == "slow":
        time.sleep(0.3)
    if text == "dir":
        return model["dir"], "text/plain"
    if text == "big":
        return b"x" * 5_000_000, "application/octet-stream"
    return f"{model['pid']} {content_type} {accept} {text}", "text/plain"
"""


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def ended(pid: int) -> bool:
    """Gone, or a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    assert not hasattr(response.body, "path")
    return b"".join([chunk async for chunk in response.body])


async def test_ping_invocations_and_the_rest(tmp_path: Path) -> None:
    async with serving(tmp_path, "sklearn", ECHO) as served:
        response = await served.invoke(b"hello", "text/csv", "a/b")
        assert (response.status, response.header("content-type")) == (200, "text/plain; charset=utf-8")
        assert body_of(response).endswith(b" text/csv a/b hello")
        assert body_of(await served.invoke(b"x")).endswith(b" application/json application/json x")
        assert body_of(await served.invoke(b"dir")) == str(tmp_path / "model").encode()
        assert (await served.get("/nowhere")).status == 404
        assert (await served.get("/invocations")).status == 405
        assert len(await whole(await served.invoke(b"big"))) == 5_000_000
        assert (await whole(await served.invoke(b"y" * 6_000_000)))[-100:] == b"y" * 100


async def test_an_exception_is_a_500_and_its_traceback_is_in_the_log(tmp_path: Path) -> None:
    async with serving(tmp_path, "sklearn", ECHO) as served:
        response = await served.invoke(b"raise", "text/csv")
        assert response.status == 500
        assert b"<title>500 Internal Server Error</title>" in body_of(response)
        assert (await served.get("/ping")).status == 200
    text = served.log.read_text()
    assert "Traceback (most recent call last):" in text
    assert "KeyError: 'no such thing'" in text


async def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, "sklearn", ECHO) as served:
        (before,) = served.workers()
        with pytest.raises(ConnectionError):
            await served.invoke(b"die", "text/csv")
        response = await served.invoke(b"again", "text/csv")
        assert int(body_of(response).split()[0]) != before
    assert "a worker ended with status 7; starting another" in served.log.read_text()


async def test_workers_share_the_work(tmp_path: Path) -> None:
    async with serving(tmp_path, "sklearn", ECHO, SAGEMAKER_MODEL_SERVER_WORKERS="3") as served:
        await until(lambda: len(served.workers()) == 3)
        async with asyncio.timeout(120):
            seen: set[bytes] = set()
            while len(seen) < 3:
                answers = await asyncio.gather(*(served.invoke(b"slow", "text/csv") for _ in range(3)))
                seen |= {body_of(answer).split()[0] for answer in answers}


async def test_one_worker_for_each_cpu(tmp_path: Path) -> None:
    environ = {"SAGEMAKER_MODEL_SERVER_WORKERS": "", "SM_NUM_CPUS": "1"}
    async with serving(tmp_path, "sklearn", ECHO, **environ) as served:
        await until(lambda: "1 worker(s)" in served.log.read_text())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("def model_fn(d):\n    raise OSError('model file is damaged')", "OSError: model file is damaged"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = 1", "NotImplementedError: \nPlease provide a model_fn implementation.\nSee documentation for model_fn"),
        (
            "def model_fn(d): pass\ndef input_fn(a, b): pass\ndef transform_fn(a, b, c, d): pass",
            "ValueError: Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn",
        ),
    ],
)
async def test_a_model_that_cannot_be_loaded_ends_the_server(tmp_path: Path, script: str, words: str) -> None:
    process, log = await start(tmp_path, "sklearn", script)
    assert await asyncio.wait_for(process.wait(), 30) == 1
    text = log.read_text().rstrip()
    assert "Traceback (most recent call last):" in text
    assert words in "\n".join(text.splitlines()[-4:])


async def test_a_worker_killed_while_loading_ends_the_server(tmp_path: Path) -> None:
    process, log = await start(tmp_path, "sklearn", "import os\ndef model_fn(d):\n    os.kill(os.getpid(), 9)")
    assert await asyncio.wait_for(process.wait(), 30) == 137
    assert "was killed by signal 9 while it loaded the model" in log.read_text()


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    process, log = await start(tmp_path, "sklearn", None, SAGEMAKER_PROGRAM="missing.py")
    assert await asyncio.wait_for(process.wait(), 30) == 1
    assert "SAGEMAKER_PROGRAM names missing.py, which is not in" in log.read_text()


async def test_an_unknown_framework(tmp_path: Path) -> None:
    process, log = await start(tmp_path, "cobol", ECHO)
    assert await asyncio.wait_for(process.wait(), 30) == 1
    assert "WILDSAGE_FRAMEWORK must be one of sklearn, xgboost, pytorch" in log.read_text()


async def test_the_request_under_way_is_finished_at_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path, "sklearn", ECHO) as served:
        running = asyncio.create_task(served.invoke(b"slow", "text/csv"))
        await asyncio.sleep(0.1)
        served.process.terminate()
        assert body_of(await running).endswith(b"slow")


async def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    process, _ = await start(tmp_path, "sklearn", ECHO)
    served = Served(process, f"unix:{tmp_path}/serve.sock", tmp_path / "log", None)  # type: ignore[arg-type]
    await until(lambda: "the model is loaded" in served.log.read_text())
    (worker,) = served.workers()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: ended(worker))


async def test_over_tcp(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environ = {"WILDSAGE_BIND": "", "SAGEMAKER_BIND_TO_PORT": str(port), "address": f"tcp:127.0.0.1:{port}"}
    async with serving(tmp_path, "sklearn", ECHO, **environ) as served:
        assert (await served.invoke(b"hello", "text/csv")).status == 200


async def test_requirements_are_installed_first(tmp_path: Path) -> None:
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "requirements.txt").write_text("./no-such-folder-of-a-package\n")
    process, log = await start(tmp_path, "sklearn", ECHO)
    assert await asyncio.wait_for(process.wait(), 60) == 1
    assert "pip could not install requirements.txt." in log.read_text()


async def raw(served: Served, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(served.address.removeprefix("unix:"))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    received = await asyncio.wait_for(reader.read(-1), 10)
    writer.close()
    return received


POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
CLOSE = b"Connection: close\r\n"


@pytest.mark.parametrize("step", [1, 9, 10_000])
async def test_requests_however_they_are_cut(tmp_path: Path, step: int) -> None:
    message = POST + b"Content-Length: 2\r\n\r\nab"
    message += POST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\ncde\r\n2\r\nfg\r\n0\r\nTrailer: 1\r\n\r\n"
    message += POST + CLOSE + b"Content-Length: 1\r\n\r\nh"
    async with serving(tmp_path, "sklearn", ECHO) as served:
        received = await raw(served, *(message[at : at + step] for at in range(0, len(message), step)))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    bodies = [part.split(b"\r\n\r\n")[1].split()[-1] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"ab", b"cdefg", b"h"]


async def test_large_bodies_of_a_client_that_reads_slowly(tmp_path: Path) -> None:
    large = random.Random(5).randbytes(7_000_000)
    head = b"POST /invocations HTTP/1.1\r\nContent-Type: application/octet-stream\r\nContent-Length: 7000000\r\n"
    async with serving(tmp_path, "sklearn", ECHO) as served:
        reader, writer = await asyncio.open_unix_connection(served.address.removeprefix("unix:"), limit=1024)
        writer.write(head + CLOSE + b"\r\n" + large)
        got = bytearray()
        async with asyncio.timeout(60):
            while piece := await reader.read(100_000):
                got += piece
                await asyncio.sleep(0.001)
        assert got.partition(b"\r\n\r\n")[2] == large
        writer.close()


async def test_malformed_requests(tmp_path: Path) -> None:
    cases = {
        b"nonsense\r\n\r\n": 400,
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na": 400,
        POST + b"Content-Length: +1\r\n\r\na": 400,
        POST + b"Content-Length: 999999999999\r\n\r\n": 413,
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n": 400,
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n": 400,
        POST + b"Content-Length : 1\r\n\r\na": 400,
        b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000: 431,
    }
    async with serving(tmp_path, "sklearn", ECHO) as served:
        for message, status in cases.items():
            received = await raw(served, message)
            assert received.startswith(f"HTTP/1.1 {status} ".encode()), message[:80]
        assert (await served.get("/ping")).status == 200


async def test_expect_continue(tmp_path: Path) -> None:
    async with serving(tmp_path, "sklearn", ECHO) as served:
        reader, writer = await asyncio.open_unix_connection(served.address.removeprefix("unix:"))
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_a_script_may_be_called_like_a_part_of_the_server(tmp_path: Path) -> None:
    script = "import json, http.client\nimport server\ndef model_fn(d):\n    return server.NAME\n"
    script += "def transform_fn(m, d, c, a):\n    return json.dumps(m), a\n"
    (tmp_path / "model" / "code").mkdir(parents=True)
    (tmp_path / "model" / "code" / "server.py").write_text("NAME = 'mine'")
    async with serving(tmp_path, "sklearn", script) as served:
        assert json.loads(body_of(await served.invoke(b"x"))) == "mine"

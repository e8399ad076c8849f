"""The container contract of multi-model endpoints, spoken with the model server over its socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.unit.toolkit_serve.served import Served, serving, start, until

from wildsage.wire.http.client import Client, gathered
from wildsage.wire.http.client_connection import Unreachable
from wildsage.wire.http.messages import BytesBody, Request

SCRIPT = """
import json, os, time
def model_fn(folder):
    text = open(os.path.join(folder, "factor")).read()
    if text == "exit":
        os._exit(9)
    if text in ("leaves", "is left") and os.fork() == 0:
        for _ in range(6000):
            if not os.path.exists(os.path.join(folder, "over")):
                time.sleep(0.1)
        os._exit(0)
    if text == "is left":
        os._exit(3)
    text = text.replace("leaves", "1")
    size = os.path.join(folder, "bytes")
    held = bytearray(int(open(size).read()) if os.path.exists(size) else 0)
    for place in range(0, len(held), 4096):
        held[place] = 1
    return float(text), held
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model):
    if data == "die":
        os._exit(3)
    if data == "pieces":
        return data
    if isinstance(data, str):
        return [len(data)]
    if isinstance(data, dict):  # waits for another process to come
        os.makedirs(os.path.join(data["meet"], str(os.getpid())))
        while len(os.listdir(data["meet"])) < 2:
            time.sleep(0.01)
        return os.getpid()
    return [each * model[0] for each in data]
def output_fn(prediction, accept):
    if prediction == "pieces":
        return iter(["[1, ", "2]"])
    return json.dumps(prediction)
"""


@asynccontextmanager
async def many(folder: Path, **environ: str) -> AsyncIterator[Served]:
    """A server for many models, whose script is in the shared code folder."""
    code = folder / "code"
    code.mkdir()
    (code / "inference.py").write_text(SCRIPT)
    async with serving(
        folder, "sklearn", None, SAGEMAKER_MULTI_MODEL="true", SAGEMAKER_SUBMIT_DIRECTORY=str(code), **environ
    ) as served:
        yield served


def put(folder: Path, name: str, factor: str, held: int = 0) -> str:
    place = folder / "models" / name / "model"
    place.mkdir(parents=True)
    (place / "factor").write_text(factor)
    if held:
        (place / "bytes").write_text(str(held))
    return str(place)


async def ask(served: Served, method: str, path: str, body: object = None) -> tuple[int, Any]:
    data = b"" if body is None else json.dumps(body).encode()
    headers = [("host", "localhost"), ("content-length", str(len(data))), ("content-type", "application/json")]
    response = await served.client.send(served.address, Request(method, path, headers, BytesBody(data)), 60)
    return response.status, json.loads(await gathered(response, 1 << 30) or b"null")


async def load(served: Served, folder: Path, name: str, factor: str, held: int = 0) -> tuple[int, Any]:
    return await ask(served, "POST", "/models", {"model_name": name, "url": put(folder, name, factor, held)})


async def test_models_come_and_go(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        assert await ask(served, "GET", "/models") == (200, {"models": []})
        assert (await ask(served, "POST", "/models/a/invoke", [1]))[0] == 404
        status, shown = await load(served, tmp_path, "a", "2")
        assert (status, shown["modelName"]) == (200, "a")
        assert (await load(served, tmp_path, "b", "3"))[0] == 200
        assert await ask(served, "POST", "/models/a/invoke", [1, 2]) == (200, [2.0, 4.0])
        assert await ask(served, "POST", "/models/b/invoke", [1, 2]) == (200, [3.0, 6.0])
        again = await ask(served, "POST", "/models", {"model_name": "a", "url": shown["modelUrl"]})
        assert again == (409, shown)
        assert await ask(served, "GET", "/models/a") == (200, shown)
        listed = (await ask(served, "GET", "/models"))[1]["models"]
        assert sorted(each["modelName"] for each in listed) == ["a", "b"]
        assert (await ask(served, "DELETE", "/models/a"))[0] == 200
        assert (await ask(served, "GET", "/models/a"))[0] == 404
        assert (await ask(served, "DELETE", "/models/a"))[0] == 404
        assert (await ask(served, "POST", "/models/b/invoke", [1]))[0] == 200
        assert (await ask(served, "POST", "/models", [1]))[0] == 400


async def test_a_model_answers_at_its_own_socket(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        shown = (await load(served, tmp_path, "a", "2"))[1]
        own = f"unix:{tmp_path}/{shown['wildsageSocket']}"
        body = b"[5]"
        headers = [("host", "a"), ("content-length", "3"), ("content-type", "application/json")]
        response = await served.client.send(own, Request("POST", "/invocations", headers, BytesBody(body)), 30)
        assert (response.status, await gathered(response, 1 << 30)) == (200, b"[10.0]")


async def test_a_model_of_several_processes_answers_several_at_a_time(tmp_path: Path) -> None:
    async with many(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="2") as served:
        assert (await load(served, tmp_path, "a", "2"))[0] == 200
        meeting = tmp_path / "meeting"
        found = await asyncio.gather(*(ask(served, "POST", "/models/a/invoke", {"meet": str(meeting)}) for _ in "ab"))
        assert [status for status, _ in found] == [200, 200]
        assert len({pid for _, pid in found}) == 2
        assert (await ask(served, "DELETE", "/models/a"))[0] == 200
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for _, pid in found))


async def test_an_answer_in_pieces_passes_through_the_front(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        assert (await load(served, tmp_path, "a", "2"))[0] == 200
        assert await ask(served, "POST", "/models/a/invoke", "pieces") == (200, [1, 2])


async def test_a_large_body_passes_through_the_front(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        await load(served, tmp_path, "a", "2")
        assert await ask(served, "POST", "/models/a/invoke", "x" * 3_000_000) == (200, [3_000_000])


async def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        status, told = await load(served, tmp_path, "a", "two")
        assert status == 500
        assert "could not convert string to float: 'two'" in told["message"]
        status, told = await load(served, tmp_path, "c", "exit")
        assert (status, "ended before it had" in told["message"]) == (500, True)
        assert await ask(served, "GET", "/models") == (200, {"models": []})
        assert (await load(served, tmp_path, "b", "2"))[0] == 200


async def test_what_loading_leaves_running_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        assert (await load(served, tmp_path, "a", "leaves"))[0] == 200
        assert await ask(served, "POST", "/models/a/invoke", [1]) == (200, [1.0])
        status, told = await load(served, tmp_path, "b", "is left")
        assert (status, "ended before it had" in told["message"]) == (500, True)
        for name in ("a", "b"):
            (tmp_path / "models" / name / "model" / "over").touch()


async def test_a_model_whose_process_dies_can_be_loaded_again(tmp_path: Path) -> None:
    async with many(tmp_path) as served:
        shown = (await load(served, tmp_path, "a", "2"))[1]
        await load(served, tmp_path, "b", "3")
        assert (await ask_text(served, "/models/a/invoke", b'"die"'))[0] == 502
        await until_status(served, "/models/a", 404)
        assert await ask(served, "POST", "/models/b/invoke", [1]) == (200, [3.0])
        assert await ask(served, "POST", "/models", {"model_name": "a", "url": shown["modelUrl"]}) == (200, shown)
        assert await ask(served, "POST", "/models/a/invoke", [1]) == (200, [2.0])


async def ask_text(served: Served, path: str, body: bytes) -> tuple[int, bytes]:
    headers = [("host", "localhost"), ("content-length", str(len(body))), ("content-type", "application/json")]
    response = await served.client.send(served.address, Request("POST", path, headers, BytesBody(body)), 60)
    return response.status, await gathered(response, 1 << 30)


async def until_status(served: Served, path: str, status: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if (await ask(served, "GET", path))[0] == status:
                return
            await asyncio.sleep(0.01)


async def test_no_more_than_there_is_memory_for(tmp_path: Path) -> None:
    held = 60 << 20
    async with many(tmp_path, WILDSAGE_MEMORY_BYTES=str(400 << 20)) as served:
        found = [(await load(served, tmp_path, f"m{number}", "2", held))[0] for number in range(8)]
        count = found.index(507)
        assert 2 <= count <= 6
        assert set(found[count:]) == {507}
        assert (await ask(served, "DELETE", "/models/m0"))[0] == 200
        url = str(tmp_path / "models" / "m7" / "model")
        assert (await ask(served, "POST", "/models", {"model_name": "m7", "url": url}))[0] == 200
        assert (await load(served, tmp_path, "huge", "2", 1 << 30))[0] == 507


async def test_a_limit_on_their_number(tmp_path: Path) -> None:
    async with many(tmp_path, WILDSAGE_MOST_MODELS="2") as served:
        assert [(await load(served, tmp_path, name, "2"))[0] for name in "abc"] == [200, 200, 507]


async def test_models_end_with_their_container(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT)
    process, _ = await start(tmp_path, "sklearn", None, SAGEMAKER_MULTI_MODEL="true")
    served = Served(process, f"unix:{tmp_path}/serve.sock", tmp_path / "log", Client())
    try:
        await until((tmp_path / "serve.sock").exists)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(Unreachable):
                    await ask(served, "GET", "/ping")
                    break
                await asyncio.sleep(0.01)
        assert (await load(served, tmp_path, "a", "2"))[0] == 200
        workers = served.workers()
        assert len(workers) == 1
    finally:
        served.client.close()
        process.kill()
        await process.wait()
    await until(lambda: not Path(f"/proc/{workers[0]}").exists())

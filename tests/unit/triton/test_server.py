"""The model server as Triton's image: real models on ONNX Runtime, asked by Triton's own client."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import socket
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import tritonserver
from tests.sdk.session import interpreter
from tests.unit.toolkit_serve.served import Served, serving, start, until

from wildsage.wire.http.messages import BytesBody, Request, Response

HERE = Path(__file__).parent
ROWS = "max_batch_size: 8\ndynamic_batching { max_queue_delay_microseconds: 2000 }\ninstance_group { count: 2 }\n"
CONFIGS = {
    "double": ROWS,
    "lookup": "max_batch_size: 8\ndynamic_batching { max_queue_delay_microseconds: 300000 preferred_batch_size: 4 }\n",
    "typed": "max_batch_size: 8\n",
    "scores": 'max_batch_size: 2\ninput { name: "X" data_type: TYPE_FP32 dims: 3 }\n'
    'output { name: "Y" data_type: TYPE_FP32 dims: 3 label_filename: "labels.txt" }\n',
}

ENDS = (("input", "X"), ("output", "Y"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository of all of the small models."""
    folder = tmp_path_factory.mktemp("triton") / "repository"
    command = [str(interpreter("triton")), str(HERE / "models.py"), str(folder)]
    assert os.spawnv(os.P_WAIT, command[0], command) == 0
    for name, text in CONFIGS.items():
        (folder / name / "config.pbtxt").write_text(f'name: "{name}"\nplatform: "onnxruntime_onnx"\n{text}')
    (folder / "scores" / "labels.txt").write_text("one\ntwo\nthree\n")
    for version in ("2", "3"):
        shutil.copytree(folder / "double" / "1", folder / "other" / version)
    (folder / "other" / "config.pbtxt").write_text("max_batch_size: 8\n")
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "model.onnx").write_text("no model")
    yield folder


@pytest.fixture(autouse=True)
def with_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(interpreter("triton")))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def ask(port: int, *features: str) -> None:
    """Runs the client to its end."""
    command = (str(interpreter("triton")), str(HERE / "client.py"), f"127.0.0.1:{port}", *features)
    client = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-2)
    said, _ = await asyncio.wait_for(client.communicate(), 120)
    assert client.returncode == 0, said.decode()


async def invoke(served: Served, body: bytes, content_type: str) -> tuple[int, str, bytes]:
    answer = await served.invoke(body, content_type)
    return answer.status, dict(answer.headers).get("content-type", ""), body_of(answer)


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


async def test_tritonclient(made: Path, tmp_path: Path) -> None:
    port = free_port()
    variables = {
        "SM_MODEL_DIR": str(made),
        "WILDSAGE_BIND": "",
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "double",
        "SAGEMAKER_TRITON_ADDITIONAL_ARGS": " ".join(
            f"--load-model={name}" for name in ("lookup", "typed", "scores", "plain", "scalar")
        ),
    }
    async with serving(tmp_path, "triton", None, address=f"tcp:127.0.0.1:{port}", **variables) as served:
        await ask(port, "health", "metadata", "infer", "types", "classification", "repository", "batching", "counted")
        assert "model 'double' version 1 is loaded: 2 instance(s)" in served.log.read_text()


@tritonserver.needed
async def test_nvidias_own_server(made: Path, tmp_path: Path) -> None:
    """It has no ONNX Runtime backend: its Python backend runs the same models."""
    port = free_port()
    variables = {
        "SM_MODEL_DIR": str(made),
        "WILDSAGE_BIND": "",
        "WILDSAGE_TRITON_ENGINE": "tritonserver",
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "double",
        "SAGEMAKER_TRITON_ADDITIONAL_ARGS": " ".join(
            f"--load-model={name}" for name in ("lookup", "typed", "plain", "scalar")
        ),
    }
    async with serving(tmp_path, "triton", None, address=f"tcp:127.0.0.1:{port}", **variables) as served:
        await ask(port, "health", "metadata", "infer", "types", "batching")
        await invocations(served)


@tritonserver.needed
async def test_what_nvidias_own_server_cannot_load(made: Path, tmp_path: Path) -> None:
    variables = {"SM_MODEL_DIR": str(tmp_path / "repository"), "WILDSAGE_TRITON_ENGINE": "tritonserver"}
    shutil.copytree(made / "double", tmp_path / "repository" / "double")
    config = tmp_path / "repository" / "double" / "config.pbtxt"
    config.write_text("max_batch_size: 8\ndynamic_batching {\n")
    assert "config.pbtxt:3: '}' is missing before the end of the file" in await fails(tmp_path, **variables)
    tensors = " ".join(f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: 2 }}' for kind, name in ENDS)
    config.write_text(f"max_batch_size: 8\n{tensors}\ndynamic_batching {{ preferred_batch_size: 9 }}\n")
    said = await fails(tmp_path, **variables)
    assert "dynamic batching preferred size must be <= max batch size for double" in said
    assert "tritonserver ended with status 1" in said
    assert "serves real-time endpoints" in await fails(tmp_path, SAGEMAKER_MULTI_MODEL="true", **variables)


async def test_invocations(made: Path, tmp_path: Path) -> None:
    variables = {"SM_MODEL_DIR": str(made), "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "double"}
    async with serving(tmp_path, "triton", None, **variables) as served:
        await invocations(served)
        assert (await served.get("/v2/systemsharedmemory/status")).status == 501
        assert (await served.get("/v2/nothing")).status == 404


async def test_serverless(made: Path, tmp_path: Path) -> None:
    """Its threads cannot be forked: each worker loads the model anew."""
    port = free_port()
    variables = {
        "SM_MODEL_DIR": str(made),
        "WILDSAGE_BIND": "",
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "double",
        "WILDSAGE_SERVERLESS_IDLE_SECONDS": "60",
    }
    async with serving(tmp_path, "triton", None, address=f"tcp:127.0.0.1:{port}", **variables) as served:
        await invocations(served)
        await ask(port, "infer")
        assert "the loaded model cannot be forked" in served.log.read_text()


async def invocations(served: Served) -> None:
    """As AWS's image answers them."""
    tensor = {"name": "X", "shape": [1, 2], "datatype": "FP32"}
    document = json.dumps({"inputs": [{**tensor, "data": [1, 2]}]}).encode()
    status, kind, answer = await invoke(served, document, "application/octet-stream")
    assert (status, kind, json.loads(answer)["outputs"][0]["data"]) == (200, "application/json", [2, 4])

    mime = "application/vnd.sagemaker-triton.binary+json;json-header-size="
    wanted = {"outputs": [{"name": "Y", "parameters": {"binary_data": True}}]}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 8}}], **wanted}).encode()
    sent = head + bytes.fromhex("0000803f00000040")
    status, kind, answer = await invoke(served, sent, f"{mime}{len(head)}")
    assert status == 200
    assert kind.startswith(mime)
    assert answer[int(kind.removeprefix(mime)) :] == bytes.fromhex("0000004000008040")

    for bad in (f"{mime}x", f"{mime}{len(sent) + 1}", f"a {mime}{len(head)}", f"{mime}-1"):
        status, _, answer = await invoke(served, sent, bad)
        assert (status, list(json.loads(answer))) == (400, ["error"])
    assert (await invoke(served, b"{", "application/json"))[0] == 400
    assert (await served.get("/invocations")).status == 405


async def test_many_at_once_run_together(made: Path, tmp_path: Path) -> None:
    variables = {"SM_MODEL_DIR": str(made), "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "double"}
    async with serving(tmp_path, "triton", None, **variables) as served:

        async def one(number: int) -> list[float]:
            tensor = {"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [number, 0]}
            _, _, answer = await invoke(served, json.dumps({"inputs": [tensor]}).encode(), "application/json")
            found: list[float] = json.loads(answer)["outputs"][0]["data"]
            return found

        answers = await asyncio.gather(*(one(number) for number in range(64)))
        assert answers == [[2 * number, 0] for number in range(64)]
        (shown,) = json.loads(body_of(await served.get("/v2/models/double/stats")))["model_stats"]
        assert shown["inference_count"] == 64
        assert shown["execution_count"] < 64
        # A client that hangs up takes nothing from others.
        head = [("host", "localhost"), ("content-length", "10")]
        with pytest.raises(TimeoutError):
            await served.client.send(served.address, Request("POST", "/invocations", head, BytesBody(b"1")), 0.1)
        assert await one(3) == [6, 0]


async def test_stopped_it_answers_what_it_has(made: Path, tmp_path: Path) -> None:
    """The request waits for others when SIGTERM comes; it is answered, and the status is 0."""
    (tmp_path / "repository").mkdir()
    shutil.copytree(made / "lookup", tmp_path / "repository" / "lookup")
    config = tmp_path / "repository" / "lookup" / "config.pbtxt"
    config.write_text(config.read_text().replace("300000", "1000000"))
    async with serving(tmp_path, "triton", None, SM_MODEL_DIR=str(tmp_path / "repository")) as served:
        tensor = {"name": "I", "shape": [1, 1], "datatype": "INT64", "data": [1]}
        body = json.dumps({"inputs": [tensor]}).encode()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(served.address.removeprefix("unix:"))
            sock.sendall(b"POST /invocations HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await until(lambda: _unread(sock) == 0)
            served.process.terminate()
            sock.settimeout(60)
            answer = await asyncio.to_thread(sock.recv, 4096)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"data":["one"]' in answer


def _unread(sock: socket.socket) -> int:
    """What the other side has not read yet."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), "little")


async def fails(folder: Path, **variables: str) -> str:
    """The log of a server that ends with status 1."""
    process, log = await start(folder, "triton", None, **variables)
    assert await asyncio.wait_for(process.wait(), 60) == 1, log.read_text()
    return log.read_text()


@pytest.mark.parametrize(
    ("model", "text", "words"),
    [
        ("double", "max_batch_size: 8\nmax_batchsize: 8", "double/config.pbtxt:2: ModelConfig has no field"),
        ("double", 'input { name: "X" data_type: TYPE_FP32', "double/config.pbtxt:1: '}' is missing before the end"),
        (
            "double",
            'max_batch_size: 8\ninput { name: "X" data_type: TYPE_FP32 dims: 3 }\n'
            'output { name: "Y" data_type: TYPE_FP32 dims: 2 }',
            "config.pbtxt:2: model 'double', tensor 'X': the model expects 2 dimensions (shape [-1,2])",
        ),
        (
            "double",
            'max_batch_size: 8\ninput { name: "X" data_type: TYPE_FP32 dims: 2 }\n'
            'output { name: "W" data_type: TYPE_FP32 dims: 2 }',
            "config.pbtxt:3: unexpected inference output 'W', allowed outputs are: Y",
        ),
        ("broken", "", "ONNX Runtime cannot load the model of 'broken'"),
        ("double", 'default_model_filename: "none.onnx"', "unable to find"),
        ("double", "version_policy { specific { versions: 4 } }", "version 4 of model 'double' is not in its folder"),
    ],
)
async def test_what_cannot_be_loaded_is_said(made: Path, tmp_path: Path, model: str, text: str, words: str) -> None:
    shutil.copytree(made / model, tmp_path / "repository" / model)
    (tmp_path / "repository" / model / "config.pbtxt").write_text(text)
    assert words in await fails(tmp_path, SM_MODEL_DIR=str(tmp_path / "repository"))


async def test_which_model_is_meant(made: Path, tmp_path: Path) -> None:
    repository = str(made)
    assert "More than 1 model directory found" in await fails(tmp_path, SM_MODEL_DIR=repository)
    variables = {"SM_MODEL_DIR": repository, "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "nothing"}
    assert "nothing does not exist: the model repository has broken, double" in await fails(tmp_path, **variables)
    assert "needs to contain the top level folder" in await fails(tmp_path, SM_MODEL_DIR=f"{repository}/double")
    variables = {"SM_MODEL_DIR": repository, "WILDSAGE_TRITON_ENGINE": "tensorrt"}
    assert "must be one of onnxruntime, tritonserver" in await fails(tmp_path, **variables)
    variables = {"SM_MODEL_DIR": repository, "SAGEMAKER_TRITON_ADDITIONAL_ARGS": "--model-control-mode=poll"}
    assert "--model-control-mode=poll has no meaning here" in await fails(tmp_path, **variables)

"""The model server as a process, run by its path as a container runs it, and a client for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import wildsage
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import BytesBody, Request, Response

SERVE = Path(wildsage.__file__).parent / "toolkit" / "serve.py"


@dataclass
class Served:
    """A running model server. ``log``: the file with all it has written."""

    process: asyncio.subprocess.Process
    address: str
    log: Path
    client: Client

    async def invoke(self, body: bytes, content_type: str = "", accept: str = "") -> Response:
        headers = [("host", "localhost"), ("content-length", str(len(body)))]
        headers += [("content-type", content_type)] if content_type else []
        headers += [("accept", accept)] if accept else []
        return await self.client.send(self.address, Request("POST", "/invocations", headers, BytesBody(body)), 30)

    async def get(self, path: str) -> Response:
        return await self.client.send(self.address, Request("GET", path, [("host", "localhost")], BytesBody()), 30)

    def workers(self) -> list[int]:
        """Process ids of the workers, by the kernel's own list."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


async def until(condition: Callable[[], object]) -> None:
    """Waits for ``condition`` to hold; fails after 20 seconds."""
    async with asyncio.timeout(120):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


Started = tuple[asyncio.subprocess.Process, Path]


async def start(folder: Path, framework: str, script: str | None, **environ: str) -> Started:
    """Starts the server with ``script`` as inference code; ``folder/model`` is the model folder."""
    code = folder / "model" / "code"
    code.mkdir(parents=True, exist_ok=True)
    if script is not None:
        (code / "inference.py").write_text(script)
        environ = {"SAGEMAKER_PROGRAM": "inference.py", **environ}
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "SAGEMAKER_BASE_DIR": str(folder),
        "WILDSAGE_BIND": f"unix:{folder}/serve.sock",
        "WILDSAGE_FRAMEWORK": framework,
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        **environ,
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVE), stdout=output, stderr=output, env=variables, cwd=folder
        )
    return process, log


@contextlib.asynccontextmanager
async def serving(folder: Path, framework: str, script: str | None, **environ: str) -> AsyncIterator[Served]:
    """A server that has answered /ping; stopped at the end, which must be clean."""
    process, log = await start(folder, framework, script, **environ)
    served = Served(process, environ.get("address", f"unix:{folder}/serve.sock"), log, Client())
    try:
        async with asyncio.timeout(120):
            while True:
                assert process.returncode is None, log.read_text()
                with contextlib.suppress(Unreachable, AnswerLost):
                    if (await served.get("/ping")).status == 200:
                        break
                await asyncio.sleep(0.02)
        yield served
    finally:
        served.client.close()
        if process.returncode is None:
            process.terminate()
        status = await asyncio.wait_for(process.wait(), 30)
    assert status == 0, f"{status}: {log.read_text()}"

"""What stands before the health route says 200, and what is loaded behind the open door."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wildsage.compose.foundation import Foundation, lay
from wildsage.compose.table import complete
from wildsage.core.settings import DataDir, Settings
from wildsage.wire.http.messages import BytesBody, Request

SOURCE = Path(__file__).resolve().parents[3] / "src"

# Importing is most of a start. What is named here costs milliseconds or megabytes, and health does not need it.
NOT_BEFORE_HEALTH = (
    "wildsage.compose.table",
    "wildsage.images",
    "wildsage.runtimes.sandbox",
    "wildsage.services.cloudwatch",
    "wildsage.services.logs",
    "wildsage.services.s3.service",
    "wildsage.services.sagemaker",
    "wildsage.services.sns",
    "wildsage.services.sqs",
    "botocore.session",
    "cryptography",
    "http.client",
    "statistics",
    "tarfile",
    "urllib.request",
    "xml.sax",
)
# Never in an idle process: a process's entry module → what it is too small for.
NOT_AT_ALL = {
    "wildsage.cli.up": ("asyncio", "cryptography", "email", "logging", "sqlalchemy", "ssl", "subprocess", "xml"),
    "wildsage.dataplane.__main__": ("botocore", "cryptography", "email", "http.client", "sqlalchemy", "xml"),
    "wildsage.dataplane.objects.__main__": ("cryptography", "email", "http.client", "sqlalchemy", "xml.sax"),
    "wildsage.compose.table": ("botocore.session", "cryptography", "http.client", "xml.sax"),
}
UP_TO_HEALTH = """
import asyncio, json, sys
from pathlib import Path
import wildsage.compose.__main__
from wildsage.compose.foundation import lay
from wildsage.core.settings import DataDir, Settings
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.model import load

async def start():
    foundation = await lay(Settings(DataDir(Path(sys.argv[1]))))
    answer = await foundation.door.handle(Request("GET", "/_wildsage/health", [], BytesBody(b"")))
    print(json.dumps([answer.status, sorted(sys.modules), load.cache_info().currsize]))
    await foundation.close()

asyncio.run(start())
"""
WITHOUT_THE_REST = """
import asyncio, sys
from pathlib import Path
from wildsage.compose import process
from wildsage.core.settings import DataDir, Settings

process.TABLE = "wildsage.compose.nothing"
data = DataDir(Path(sys.argv[1]))
data.run.mkdir()
asyncio.run(process.serve(Settings(data), None))
"""


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def among(names: tuple[str, ...], modules: list[str]) -> list[str]:
    """Those of ``names`` that were loaded, themselves or something below them."""
    return [name for name in names if any(each == name or each.startswith(f"{name}.") for each in modules)]


def test_health_does_not_wait_for_what_it_does_not_need(tmp_path: Path) -> None:
    ran = python(UP_TO_HEALTH, str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    status, modules, models = json.loads(ran.stdout)
    assert status == 200
    assert among(NOT_BEFORE_HEALTH, modules) == []
    assert models == 0, "models of services were read"


@pytest.mark.parametrize("entry", NOT_AT_ALL)
def test_processes_stay_small(entry: str) -> None:
    ran = python(f"import json, sys, {entry}; print(json.dumps(sorted(sys.modules)))")
    assert ran.returncode == 0, ran.stderr
    assert among(NOT_AT_ALL[entry], json.loads(ran.stdout)) == []


def test_a_rest_that_cannot_be_loaded_ends_the_process_with_the_reason(tmp_path: Path) -> None:
    ran = python(WITHOUT_THE_REST, str(tmp_path))
    assert ran.returncode == 1
    assert "No module named 'wildsage.compose.nothing'" in ran.stderr


@pytest.fixture
async def foundation(tmp_path: Path) -> AsyncIterator[Foundation]:
    laid = await lay(Settings(DataDir(tmp_path)))
    yield laid
    await laid.close()


async def call(foundation: Foundation, service: str, operation: str) -> Any:
    return await foundation.door.call(foundation.platform.credentials.root, "us-east-1", service, operation, {})


async def test_a_service_that_is_still_loading_is_waited_for(foundation: Foundation) -> None:
    early = asyncio.create_task(call(foundation, "sagemaker", "ListModels"))
    assert (await call(foundation, "sts", "GetCallerIdentity"))["Account"] == "000000000000"
    assert not early.done()
    control = await complete(foundation)
    assert await early == {"Models": []}
    await control.attendants.close()


async def test_browsers_wait_for_what_s3_says_about_them(foundation: Foundation) -> None:
    headers = [("host", "s3.localhost"), ("origin", "http://a.example"), ("access-control-request-method", "GET")]
    early = asyncio.create_task(foundation.door.handle(Request("OPTIONS", "/bucket/key", headers, BytesBody(b""))))
    await call(foundation, "sts", "GetCallerIdentity")
    assert not early.done()
    control = await complete(foundation)
    assert (await early).status == 403
    await control.attendants.close()

"""How a container is asked."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from wildsage.core.transforms import MIB, Order
from wildsage.dataplane.transform.container import Containers, Failed, Limits, limits_of
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

WANTED = {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 4}


@pytest.mark.parametrize(
    ("asked", "wanted", "limits"),
    [
        ({}, {}, Limits(1, 6 * MIB, False)),
        ({}, WANTED, Limits(8, 4 * MIB, True)),
        ({"concurrent": 2, "payload_mib": 1, "strategy": "MultiRecord"}, WANTED, Limits(2, MIB, False)),
        ({"payload_mib": 0}, WANTED, Limits(8, 0, True)),
        ({}, {"MaxPayloadInMB": 0}, Limits(1, 0, False)),
        ({"concurrent": 50}, {}, Limits(50, 2 * MIB, False)),  # together no more than 100 MB
        ({}, {"MaxConcurrentTransforms": "many", "MaxPayloadInMB": 1e9, "BatchStrategy": 7}, Limits(1, 6 * MIB, False)),
    ],
)
def test_the_job_goes_before_the_container_and_that_before_the_default(
    asked: dict[str, Any], wanted: dict[str, Any], limits: Limits
) -> None:
    assert limits_of(Order("http://here:1", "us-east-1", (), "out", **asked), wanted) == limits


async def test_an_answer_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(4 * MIB))
                await writer.drain()

    path = tmp_path / "endless"
    server = await asyncio.start_unix_server(talk, path)
    order = Order("http://here:1", "us-east-1", (("", f"unix:{path}"),), "out", retries=0)
    with pytest.raises(Failed, match="longer than 256 MB"):
        await Containers(order).invoke(b"1")
    server.close()


async def test_what_is_accepted_is_for_the_last_container_alone(tmp_path: Path) -> None:
    """The others answer in what they take for their default, as in real-time pipelines."""

    async def told(request: Request) -> Response:
        before = await request.body.read(1000)
        said = f"[{request.header('content-type')} {request.header('accept')}]".encode()
        return Response(200, [("content-type", "application/json")], before + said)

    servers = [await start_server(told, path=tmp_path / name) for name in "ab"]
    at = tuple((name, f"unix:{tmp_path / name}") for name in "ab")
    containers = Containers(
        Order("http://here:1", "us-east-1", at, "out", content_type="text/csv", accept="text/plain")
    )
    try:
        assert await containers.invoke(b"") == b"[text/csv None][application/json text/plain]"
    finally:
        containers.close()
        for server in servers:
            await server.close(0.1)

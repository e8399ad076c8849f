"""How a container is asked."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from wildsage.core.transforms import MIB, Order
from wildsage.dataplane.transform.container import Containers, Failed, Limits, limits_of

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

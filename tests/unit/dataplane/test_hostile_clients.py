"""Clients that send slowly, or too much, or nothing: they cost themselves."""

from __future__ import annotations

import asyncio
import time

from tests.unit.dataplane.plant import Plant, echo, endpoint
from tests.waiting import until

from wildsage.core.routes import Variant

MB = 1024 * 1024


async def begin(plant: Plant, length: int, key: str = "AKIAROOT") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An invocation whose body is still to come; its signature will turn out wrong at its end."""
    reader, writer = await asyncio.open_connection(*plant.router.home())
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{key}/{stamp[:8]}/us-east-1/sagemaker/aws4_request"
    signed = f"Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    writer.write(
        f"POST /endpoints/iris/invocations HTTP/1.1\r\nhost: x\r\nx-amz-date: {stamp}\r\n"
        f"authorization: AWS4-HMAC-SHA256 {signed}\r\ncontent-length: {length}\r\n\r\n".encode()
    )
    await writer.drain()
    return reader, writer


async def status(reader: asyncio.StreamReader) -> bytes:
    line = await asyncio.wait_for(reader.readline(), 60)
    return line.split()[1]


async def test_a_body_of_nobody_is_not_waited_for(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    reader, writer = await begin(plant, 20 * MB, key="AKIANOBODY")
    assert await status(reader) == b"403"
    writer.close()
    reader, writer = await begin(plant, 30 * MB)
    assert await status(reader) == b"400"
    writer.close()


async def test_bodies_that_are_too_much_together_are_refused_for_a_while(plant: Plant) -> None:
    """40 MB may be kept here."""
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    slow, first = await begin(plant, 25 * MB)
    first.write(bytes(24 * MB))
    await first.drain()
    late, second = await begin(plant, 25 * MB)
    second.write(bytes(24 * MB))
    assert await status(late) == b"503"
    second.close()
    assert (await plant.invoke())["Body"]  # what arrives at once is not concerned
    first.write(bytes(MB))
    assert await status(slow) == b"403"
    first.close()
    assert (await plant.invoke(Body=bytes(25 * MB)))["Body"][: 25 * MB] == bytes(25 * MB)
    for _ in range(4):  # nothing is kept of those that are over
        assert len((await plant.invoke(Body=bytes(20 * MB)))["Body"]) > 20 * MB


async def test_many_that_send_slowly_harm_nobody(plant: Plant) -> None:
    plant.put(endpoint("iris", Variant("A", 1.0, (await plant.serve("m", echo),))))
    slow = [await begin(plant, MB) for _ in range(100)]
    boto = plant.boto()
    for _ in range(5):
        for _, writer in slow:
            writer.write(b"x")
        assert (await plant.invoke(boto))["Body"]
    for _, writer in slow:
        writer.close()
    await until(lambda: plant.router.table.underway() == {})

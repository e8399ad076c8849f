"""What containers say of their models is theirs to say: none of it keeps control from its work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, REGION, Server

from wildsage.core import routes
from wildsage.services.sagemaker.endpoints.multimodel import counting
from wildsage.services.sagemaker.endpoints.multimodel.container import Container
from wildsage.services.sagemaker.endpoints.multimodel.counting import Counting
from wildsage.store.metrics import Metric
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

STRANGE = {
    "no list": b'{"models": 7}',
    "no names": b'{"models": [1, {"name": "x"}, null]}',
    "no object": b"[]",
    "no end of nesting": b"[" * 200_000,
    "no end of pages": b'{"models": [{"modelName": "m"}], "nextPageToken": "again"}',
    "no letter": rb'{"models": [{"modelName": "m"}], "nextPageToken": "\ud800"}',
}


async def _listening(stack: AsyncExitStack, path: Path, said: bytes | None) -> str:
    """A container that says this to whatever it is asked; None: it says nothing."""

    async def answer(_: Request) -> Response:
        if said is None:
            await asyncio.Event().wait()
        return Response(200, [], said or b"")

    server = await start_server(answer, path=path)
    stack.push_async_callback(server.close, 0.1)
    return f"unix:{path}"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as found:
        yield found


@pytest.mark.parametrize("said", STRANGE.values(), ids=list(STRANGE))
async def test_a_strange_list_of_models(tmp_path: Path, stack: AsyncExitStack, said: bytes) -> None:
    container = Container(Client(), await _listening(stack, tmp_path / "c.sock", said))
    async with asyncio.timeout(30):
        assert set(await container.loaded()) <= {"m"}


async def test_models_are_counted_beside_containers_that_say_nonsense_or_nothing(
    server: Server, tmp_path: Path, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_PATIENCE_SECONDS", 0.5)
    well = json.dumps({"models": [{"modelName": "a"}, {"modelName": "b"}]}).encode()
    said = [well, STRANGE["no list"], STRANGE["no names"], None]
    instances = tuple(
        [
            routes.Instance(f"i-{number}", await _listening(stack, tmp_path / f"{number}.sock", each))
            for number, each in enumerate(said)
        ]
    )
    variant = routes.Variant("all", 1.0, instances, mode=routes.MULTI_MODEL)
    endpoint = routes.Endpoint("many", REGION, "arn", "InService", "config", "group", (variant,))

    def endpoints() -> dict[str, routes.Endpoint]:
        return {f"{REGION}/many": endpoint}

    async with asyncio.timeout(30):
        counts = await Counting(server.control.platform, Client(), endpoints)._counts()
    dimensions = (("EndpointName", "many"), ("VariantName", "all"))
    metric = Metric(ACCOUNT, REGION, "/aws/sagemaker/Endpoints", "LoadedModelCount", dimensions)
    assert counts == [(metric, 2), (metric, 0), (metric, 0)]

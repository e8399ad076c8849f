"""Several routers are asked as one."""

from __future__ import annotations

import json
from pathlib import Path

from wildsage.core.settings import DataDir
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server


async def test_what_is_under_way_is_the_sum_of_all_that_run(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.run.mkdir()

    async def first(_request: Request) -> Response:
        many = {f"unix:/{number}": 1 for number in range(20_000)}  # far more than arrives at once
        return Response(200, [], json.dumps({"underway": many}).encode())

    async def second(_request: Request) -> Response:
        return Response(200, [], json.dumps({"underway": {"unix:/7": 2, "unix:/other": 1}}).encode())

    servers = [
        await start_server(answer, path=data.router_socket(number)) for number, answer in enumerate((first, second))
    ]
    data.router_socket(2).touch()  # left by a router that was killed
    client = Client()
    underway = await Routers(data, client).underway()
    assert (underway["unix:/7"], underway["unix:/8"], underway["unix:/other"], underway["unix:/no"]) == (3, 1, 1, 0)
    client.close()
    for server in servers:
        await server.close(1)

"""Endpoints of a model made of a script, for tests."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.unit.services.sagemaker.conftest import SKLEARN, Server, archive

from wildsage.core.routes import Endpoint, endpoint_key, from_json
from wildsage.kit.kind import edit_resource
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.fleet import Instance
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.store.codec import Document
from wildsage.store.resources import Resource
from wildsage.wire.http.client import Client, gathered
from wildsage.wire.http.messages import BytesBody, Request

ACCOUNT = "000000000000"
REGION = "us-east-1"

GOOD = """
import json, os

def model_fn(folder):
    with open(os.path.join(folder, "factor.txt")) as file:
        return float(file.read())

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(data, model):
    return [each * model for each in data]

def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


class Hosting:
    """Models, configurations and endpoints of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def call(self, operation: str, **params: Any) -> Document:
        return await self.server.call("sagemaker", operation, **params)

    async def model(self, name: str, script: str = GOOD, factor: str = "2", **container: Any) -> None:
        """A model that multiplies by ``factor``; ``container`` replaces fields of its container definition."""
        definition = await self.container(name, script, factor, **container)
        await self.call("CreateModel", ModelName=name, ExecutionRoleArn=self.server.role, PrimaryContainer=definition)

    async def container(self, name: str, script: str = GOOD, factor: str = "2", **fields: Any) -> Document:
        """The definition of a container that multiplies by ``factor``; ``fields`` replace its own."""
        files = {"factor.txt": factor, "code/inference.py": script}
        definition: dict[str, Any] = {
            "Image": SKLEARN,
            "ModelDataUrl": await self.server.put(f"models/{name}.tar.gz", archive(files)),
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
        }
        return {**definition, **fields}

    async def models(self, name: str, *containers: Document, **fields: Any) -> None:
        """A model of several containers."""
        role = self.server.role
        await self.call("CreateModel", ModelName=name, ExecutionRoleArn=role, Containers=list(containers), **fields)

    async def config(self, name: str, *variants: Document) -> None:
        """``variants`` as documents; what is left out is filled in."""
        defaults = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": 1,
        }
        production = [{**defaults, **variant} for variant in variants or ({},)]
        await self.call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=production)

    async def endpoint(self, name: str, config: str = "") -> Document:
        return await self.call("CreateEndpoint", EndpointName=name, EndpointConfigName=config or name)

    async def until(self, name: str, *phases: str) -> Document:
        """DescribeEndpoint once it has one of the phases."""
        await self.server.settled(ENDPOINT, name, *phases)
        return await self.call("DescribeEndpoint", EndpointName=name)

    async def launched(self, name: str) -> Instance:
        """Its first instance that was launched and does not serve yet."""
        async with asyncio.timeout(120):
            while True:
                found = await self.server.control.platform.resources.get(ENDPOINT.key(ACCOUNT, REGION, name))
                assert found is not None
                if launched := fleet.load(found.state).of(fleet.LAUNCHED):
                    return launched[0]
                await asyncio.sleep(0.02)

    async def hurry(self, name: str, seconds: float = 0.0) -> None:
        """Instances that were launched get no more time than that for their first healthy answer."""
        platform = self.server.control.platform

        def change(endpoint: Resource) -> None:
            state = fleet.load(endpoint.state)
            for each in state.of(fleet.LAUNCHED):
                state.put(replace(each, deadline=platform.clock.now() + seconds))
            endpoint.state = fleet.dump(state)

        await self.launched(name)
        await edit_resource(platform, ENDPOINT, ENDPOINT.key(ACCOUNT, REGION, name), change)

    async def up(self, name: str, script: str = GOOD) -> Document:
        """A model, its configuration and its endpoint, all of one name, in service."""
        await self.model(name, script)
        await self.config(name)
        await self.endpoint(name)
        described = await self.until(name, "InService", "Failed")
        assert described["EndpointStatus"] == "InService", described
        return described

    async def delete(self, name: str) -> None:
        await self.call("DeleteEndpoint", EndpointName=name)
        await self.server.gone(ENDPOINT, name)

    async def route(self, name: str) -> Endpoint | None:
        """What routers were told of it."""
        routes = from_json(await asyncio.to_thread(self.server.data.routes.read_bytes))
        return routes.endpoints.get(endpoint_key(REGION, name))

    async def invoke(self, name: str, data: list[float]) -> Any:
        """Straight to the first instance of the route."""
        route = await self.route(name)
        assert route is not None
        return await ask(route.variants[0].instances[0].address, data)

    async def left(self, count: int) -> None:
        """Waits until there are no more instances than that, starting or ending ones included."""
        async with asyncio.timeout(120):
            while True:
                if len(self.folders()) <= count:
                    return
                await asyncio.sleep(0.02)

    def folders(self) -> list[str]:
        return sorted(path.name for path in Path(self.server.data.instances).iterdir())


async def ask(address: str, data: list[float]) -> Any:
    """POST /invocations of one instance."""
    body = json.dumps(data).encode()
    headers = [("host", "x"), ("content-type", "application/json"), ("content-length", str(len(body)))]
    client = Client()
    response = await client.send(address, Request("POST", "/invocations", headers, BytesBody(body)))
    answer = await gathered(response, 1 << 30)
    client.close()
    assert response.status == 200, answer
    return json.loads(answer)

"""A router in this process, a control and a model server that are plain handlers, and stock clients to talk to them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
from botocore.config import Config

from wildsage.access.plain import about
from wildsage.access.policies import compile_policy
from wildsage.core.routes import INVOKING, Endpoint, Instance, Invoker, Routes, Variant, endpoint_key
from wildsage.core.settings import DataDir
from wildsage.dataplane.router import Router
from wildsage.wire.http.client import Client
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import Server, start_server

ACCOUNT = "000000000000"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
USER = f"arn:aws:iam::{ACCOUNT}:user/reader"
MASTER = b"m" * 32


def endpoint(name: str, *variants: Variant, status: str = "InService") -> Endpoint:
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/{name}"
    return Endpoint(name, "us-east-1", arn, status, "config", f"/aws/sagemaker/Endpoints/{name}", variants)


def allow(*resources: str, **more: Any) -> dict[str, Any]:
    """A statement about every action."""
    return {"Effect": "Allow", "Action": "*", "Resource": list(resources), **more}


def deny(*resources: str, **more: Any) -> dict[str, Any]:
    return {**allow(*resources, **more), "Effect": "Deny"}


def invoker(
    *statements: dict[str, Any],
    boundary: Sequence[dict[str, Any]] | None = None,
    context: Mapping[str, str] | None = None,
    user_id: str = "AIDAUSER",
) -> Invoker:
    """Whose policies make these statements, as control compiles them. ``context``: condition keys."""
    return Invoker(user_id, _said(statements), None if boundary is None else _said(boundary), context or {})


def _said(statements: Sequence[dict[str, Any]]) -> str:
    if not statements:
        return ""
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return about((compile_policy(document),), INVOKING)


@dataclass
class Plant:
    """The router under test and what stands around it. ``turns``: by which a client tells a model to go on."""

    router: Router
    data: DataDir
    routes: Routes
    client: Client = field(default_factory=Client)
    servers: list[Server] = field(default_factory=list)
    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        host, port = self.router.home()
        return f"http://{host}:{port}"

    @property
    def address(self) -> str:
        host, port = self.router.home()
        return f"tcp:{host}:{port}"

    async def serve(self, name: str, handler: Callable[[Request], Any]) -> Instance:
        """A model server (or ``control``) on a unix socket of that name."""
        path = self.data.control_socket if name == "control" else self.data.root / f"{name}.sock"
        server = await start_server(handler, path=path)
        self.servers.append(server)
        return Instance(name, f"unix:{path}")

    def put(self, *endpoints: Endpoint, **permissions: Invoker) -> None:
        """Puts a next version in force: these endpoints, these permissions besides."""
        live = {endpoint_key(item.region, item.name): item for item in endpoints}
        rules = {**self.routes.permissions, **permissions}
        version = self.routes.version + 1
        self.routes = replace(self.routes, version=version, endpoints=live, permissions=rules)
        self.router.table.put(self.routes)

    def boto(self, key: str = "AKIAROOT", secret: str = "root-secret", token: str | None = None, url: str = "") -> Any:
        """A sagemaker-runtime client that does not retry."""
        return boto3.client(
            "sagemaker-runtime",
            region_name="us-east-1",
            endpoint_url=url or self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )

    async def invoke(self, boto: Any = None, **parameters: Any) -> Any:
        """InvokeEndpoint by boto3, in a thread; Body already read."""

        def call() -> Any:
            wanted = {"EndpointName": "iris", "Body": b"1,2", "ContentType": "text/csv", **parameters}
            answer = (boto or self.boto()).invoke_endpoint(**wanted)
            answer["Body"] = answer["Body"].read()
            return answer

        return await asyncio.to_thread(call)


async def echo(request: Request) -> Response:
    """A model: answers with what it got, its headers as JSON after it."""
    body = await request.body.read(1 << 30)
    headers = [("content-type", "text/csv"), ("x-amzn-sagemaker-custom-attributes", "c=1"), ("x-secret", "no")]
    return Response(200, headers, body + b"|" + json.dumps(sorted(request.headers)).encode())

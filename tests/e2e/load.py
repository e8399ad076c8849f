"""A steady load on one endpoint, through the router's port, from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from types import TracebackType
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.conftest import Server
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Unreachable
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response

RATE = 500
_SIGNED_SECONDS = 60.0
_BODY = b"[1]"


def signed_headers(server: Server, path: str, body: bytes, target: str = "") -> Headers:
    """Those of one invocation by the server's role, all that it needs. ``target``: its TargetModel."""
    environment = server.environment
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    own = {"X-Amzn-SageMaker-Target-Model": target} if target else {}
    request = AWSRequest("POST", server.url + path, data=body, headers={"Content-Type": "application/json", **own})
    signer = SigV4Auth(Credentials(*(environment[key] for key in keys)), "sagemaker", environment["AWS_REGION"])
    signer.add_auth(request)
    host = urlsplit(server.url).netloc
    signed = [(name.lower(), value) for name, value in request.headers.items()]
    return [("host", host), *signed, ("content-length", str(len(body)))]


class Load:
    """``with Load(server, "endpoint") as load``: RATE requests a second, or what the machine can do if that is less.

    ``answers``: how often each was given. ``failures``: what went wrong instead. ``connections``: requests under way at
    most. ``tries``: how often a request is sent whose connection is lost; stock clients do so up to five times.
    ``repeated``: how often that was needed. ``target``: the TargetModel, of a multi-model endpoint.
    """

    def __init__(
        self,
        server: Server,
        endpoint: str,
        connections: int = 16,
        rate: float = RATE,
        tries: int = 1,
        target: str = "",
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.repeated = 0
        self.connections = connections
        self._tries = tries
        self._target = target
        self._server = server
        self._path = f"/endpoints/{endpoint}/invocations"
        self._rate = rate
        self._signed: tuple[float, Headers] = (0.0, [])
        self._began, self._sent = 0.0, 0
        self._stopping = False
        self._recent: Counter[str] = Counter()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=f"load of {endpoint}")

    def __enter__(self) -> Load:
        self._thread.start()
        self.more(1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping = True
        self._thread.join()

    def more(self, count: int = 100) -> Counter[str]:
        """Waits for so many more answers and returns them; fails if they do not come."""
        recent: Counter[str] = Counter()
        self._recent = recent
        deadline = time.monotonic() + 120
        while recent.total() < count:
            assert time.monotonic() < deadline, f"{recent} after two minutes; failures: {self.failures[:3]}"
            time.sleep(0.02)
        return recent

    async def _run(self) -> None:
        client = Client()
        self._began = time.monotonic()
        await asyncio.gather(*(self._send(client) for _ in range(self.connections)))
        client.close()

    async def _send(self, client: Client) -> None:
        at = urlsplit(self._server.url)
        while not self._stopping:
            due = self._began + self._sent / self._rate
            self._sent += 1
            await asyncio.sleep(due - time.monotonic())
            request = Request("POST", self._path, self._headers(), BytesBody(_BODY))
            try:
                response = await self._answer(client, f"tcp:{at.hostname}:{at.port}", request)
            except (Unreachable, AnswerLost, TimeoutError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                continue
            answer = response.body.decode() if isinstance(response.body, bytes) else ""
            if response.status == 200:
                self.answers[answer] += 1
                self._recent[answer] += 1
            else:
                self.failures.append(f"{response.status} {answer}")

    async def _answer(self, client: Client, address: str, request: Request) -> Response:
        for tried in range(1, self._tries + 1):
            try:
                return await client.send(address, request, 60)
            except (Unreachable, AnswerLost):
                if tried == self._tries:
                    raise
                self.repeated += 1
        raise ValueError("no try at all")

    def _headers(self) -> Headers:
        """A signature is good for a while, and making one takes longer than a request."""
        made, headers = self._signed
        if time.monotonic() - made > _SIGNED_SECONDS or not headers:
            headers = signed_headers(self._server, self._path, _BODY, self._target)
            self._signed = time.monotonic(), headers
        return headers

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
from wildsage.wire.http.messages import BytesBody, Headers, Request

RATE = 500
_SIGNED_SECONDS = 60.0
_BODY = b"[1]"


class Load:
    """``with Load(server, "endpoint") as load``: RATE requests a second, or what the machine can do if that is less.

    ``answers``: how often each was given. ``failures``: what went wrong instead. ``connections``: requests under way at
    most.
    """

    def __init__(self, server: Server, endpoint: str, connections: int = 16, rate: float = RATE) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.connections = connections
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
                response = await client.send(f"tcp:{at.hostname}:{at.port}", request, 60)
                body = response.body if isinstance(response.body, bytes) else b""
                answer = body.decode()
            except (Unreachable, AnswerLost, TimeoutError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                continue
            if response.status == 200:
                self.answers[answer] += 1
                self._recent[answer] += 1
            else:
                self.failures.append(f"{response.status} {answer}")

    def _headers(self) -> Headers:
        """A signature is good for a while, and making one takes longer than a request."""
        made, headers = self._signed
        if time.monotonic() - made > _SIGNED_SECONDS or not headers:
            environment = self._server.environment
            keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
            request = AWSRequest(
                "POST", self._server.url + self._path, data=_BODY, headers={"Content-Type": "application/json"}
            )
            signer = SigV4Auth(Credentials(*(environment[key] for key in keys)), "sagemaker", environment["AWS_REGION"])
            signer.add_auth(request)
            host = urlsplit(self._server.url).netloc
            signed = [(name.lower(), value) for name, value in request.headers.items()]
            headers = [("host", host), *signed, ("content-length", str(len(_BODY)))]
            self._signed = time.monotonic(), headers
        return headers

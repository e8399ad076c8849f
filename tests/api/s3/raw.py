"""Signed requests of which every byte is the test's own, over a plain socket; for what no client would send."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import urlsplit
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.conftest import Server

SECONDS = 60
Headers = Sequence[tuple[str, str]]


@dataclass
class Answer:
    """``code``: that of an S3 error, empty for none."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        if self.status < 400 or not self.body:
            return ""
        return ElementTree.fromstring(self.body).findtext("Code") or ""


class Raw:
    """The root user at the level of HTTP."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.host = urlsplit(server.url).netloc
        key, self.secret = server.root_key
        self._credentials = Credentials(key, self.secret)

    def signed(self, method: str, target: str, payload_hash: str, headers: Headers = ()) -> list[tuple[str, str]]:
        """``headers`` with a host, a date and a signature; ``target`` is sent as it is."""
        request = AWSRequest(method, f"{self.url}{target}", headers=dict(headers))
        signer = S3SigV4Auth(self._credentials, "s3", "us-east-1")
        signer.payload = lambda _: payload_hash  # which need not be true
        signer.add_auth(request)
        kept = [(name, str(value)) for name, value in request.headers.items() if name.lower() != "host"]
        return [("Host", self.host), *kept]

    def __call__(self, method: str, target: str, body: bytes = b"", headers: Headers = ()) -> Answer:
        """A request of known length that is signed as it should be."""
        signed = self.signed(method, target, hashlib.sha256(body).hexdigest(), headers)
        return self.send(method, target, [*signed, ("Content-Length", str(len(body)))], [body])

    def connect(self) -> socket.socket:
        host, _, port = self.host.partition(":")
        return socket.create_connection((host, int(port)), SECONDS)

    def send(
        self, method: str, target: str, headers: Headers, pieces: Iterable[bytes], together: bool = False
    ) -> Answer:
        """Sends just that and reads the answer; ``together``: head and body in one segment, if it is not too long."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered before all was said
                for piece in [head + b"".join(pieces)] if together else [head, *pieces]:
                    connection.sendall(piece)
            response = HTTPResponse(connection, method=method)
            response.begin()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            response.close()
            return answer

"""Carries out operations of S3 at the upstream: serialized anew, signed with the upstream's key, streamed both ways."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import ssl
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError, SettingsError
from wildsage.core.upstream import NAME, S3Upstream
from wildsage.services.s3.objects.store import Trailed
from wildsage.services.s3.upstream import answers, bodies, requests
from wildsage.services.s3.upstream.bodies import Pulse, Sized, Spooled, Trailing
from wildsage.store.codec import Document
from wildsage.wire import sigv4
from wildsage.wire.http.client import Client
from wildsage.wire.http.client_connection import AnswerLost, Pool, Unreachable
from wildsage.wire.http.messages import BytesBody, FileBody, Request, Response
from wildsage.wire.model import Operation, load
from wildsage.wire.protocols import protocol_named
from wildsage.wire.regions import ROOTS_OF_TRUST
from wildsage.wire.sigv4_streaming import UNSIGNED_TRAILER

_IDLE_SECONDS: Final = 4.0  # shorter than S3, MinIO, Ceph and their proxies keep a connection
_EXPECT: Final = 1 << 20  # bytes of a body from which it pays to ask before sending
_READ_ATTEMPTS: Final = 3
_PASSING: Final = (500, 502, 503, 504)
_INNER_WAITS: Final = (0.2, 1.0, 4.0)  # seconds; nobody else tries again for a call of our own


@dataclass(frozen=True, slots=True)
class Upload:
    """A streaming payload. ``length``: bytes of content; ``trailer``: the checksum that follows it, if one does."""

    content: AsyncIterable[bytes]
    length: int
    trailer: str | None = None


class Forwarder:
    """The upstream as a client sees it; must be made within the event loop."""

    def __init__(self, upstream: S3Upstream, clock: Clock, spool: Path) -> None:
        """``spool``: a folder for bodies that do not say how long they are."""
        self.upstream = upstream
        self._clock = clock
        self._spool = spool
        self._model = load("s3")
        self._protocol = protocol_named("rest-xml")
        self._credentials = sigv4.Credentials(upstream.access_key, upstream.secret_key, upstream.session_token)
        tls = _trust(upstream) if upstream.scheme == "https" else None
        self._address = f"{'tcp' if tls is None else 'tls'}:{upstream.host}:{upstream.port}"
        self._client = Client(Pool(idle_seconds=_IDLE_SECONDS, tls=tls))
        self._mark = f"wildsage-{secrets.token_hex(8)}"

    def close(self) -> None:
        self._client.close()

    async def call(self, name: str, params: Document, client: Request | None = None, inner: bool = False) -> Document:
        """One operation; a streaming payload comes back as bytes or an iterator.

        ``client``: the request behind it. ``inner``: a call of our own, which is tried again where a client would.
        Raises ApiError as ``answers`` says.
        """
        via = "" if client is None else client.header("via") or ""
        if self._mark in via:
            raise answers.circular(self.upstream)
        operation = self._model.operations[name]
        params = dict(params)
        upload = None
        payload = "" if operation.input is None else operation.input.payload
        if operation.input is not None and payload and operation.input.members[payload].streaming:
            trailer = None if client is None else client.header("x-amz-trailer")
            upload = await self._upload(payload, params, trailer)
        try:
            for wait in _INNER_WAITS if inner else ():
                try:
                    return await self._attempt(operation, params, upload, via)
                except ApiError as error:
                    if error.status not in _PASSING:
                        raise
                    await self._clock.sleep(wait)
            return await self._attempt(operation, params, upload, via)
        finally:
            if upload is not None and isinstance(upload.content, Spooled):
                upload.content.close()

    async def _upload(self, member: str, params: Document, trailer: str | None) -> Upload:
        """Takes the payload out of the parameters."""
        body = params.pop(member, None) or b""
        length = params.pop("ContentLength", None)
        content: AsyncIterable[bytes] = BytesBody(body) if isinstance(body, bytes) else body
        if isinstance(content, BytesBody):
            length = len(content.data)
        if length is None:
            spooled = await Spooled.of(content, self._spool)
            return Upload(spooled, spooled.length)
        known = bodies.trailer_name(trailer) if isinstance(content, Trailed) else None
        return Upload(content, length, known)

    async def _attempt(self, operation: Operation, params: Document, upload: Upload | None, via: str) -> Document:
        request = requests.request_of(operation, params, self.upstream)
        pulse = Pulse(self._clock, self.upstream.seconds)
        payload_hash = self._payload(request, upload, pulse)
        sigv4.sign(request, self._credentials, self.upstream.region, "s3", self._clock.now(), payload_hash)
        # Not signed: proxies on the way may add themselves.
        request.headers.append(("via", f"{via}, 1.1 {self._mark}" if via else f"1.1 {self._mark}"))
        try:
            response = await self._send(request, pulse)
        except Unreachable as error:
            raise answers.unreachable(error, self.upstream) from error
        except AnswerLost as error:
            raise answers.lost(self.upstream) from error
        if not isinstance(response.body, bytes | FileBody):
            response.body = answers.Arriving(response.body, self.upstream)
        try:
            return await self._protocol.parse_response(operation, response)
        except ApiError as error:
            if isinstance(response.body, answers.Arriving):
                await response.body.aclose()
            raise answers.refused(error, operation, response, self.upstream) from error

    def _payload(self, request: Request, upload: Upload | None, pulse: Pulse) -> str:
        """Gives the request its body; returns what the signature says of it."""
        if upload is None:
            body = request.body.data if isinstance(request.body, BytesBody) else b""
            return hashlib.sha256(body).hexdigest()
        request.headers = [(name, value) for name, value in request.headers if name != "content-length"]
        if upload.length >= _EXPECT:
            request.headers.append(("expect", "100-continue"))
        if upload.trailer is not None and isinstance(upload.content, Trailed):
            _announce_trailer(request, upload)
            sized = Sized(upload.content, upload.length, pulse)
            request.body = Trailing(upload.content, sized, upload.trailer, pulse)
            return UNSIGNED_TRAILER
        request.headers.append(("content-length", str(upload.length)))
        request.body = Sized(upload.content, upload.length, pulse)
        return sigv4.UNSIGNED_PAYLOAD

    async def _send(self, request: Request, pulse: Pulse) -> Response:
        """What only reads is sent again if the answer is lost. Raises SlowDown if the upstream stays silent."""
        for _ in range(_READ_ATTEMPTS - 1 if request.method in ("GET", "HEAD") else 0):
            with contextlib.suppress(AnswerLost):
                return await self._watched(request, pulse)
        return await self._watched(request, pulse)

    async def _watched(self, request: Request, pulse: Pulse) -> Response:
        sending = asyncio.ensure_future(self._client.send(self._address, request))
        try:
            while not sending.done():
                if pulse.left <= 0:
                    raise answers.silent(self.upstream)
                await asyncio.wait({sending}, timeout=pulse.left)
            return sending.result()
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


def _announce_trailer(request: Request, upload: Upload) -> None:
    """The headers of ``aws-chunked``, as botocore writes them."""
    encoding = request.header("content-encoding")
    request.headers = [(name, value) for name, value in request.headers if name != "content-encoding"]
    request.headers += [
        ("content-encoding", f"{encoding},aws-chunked" if encoding else "aws-chunked"),
        ("x-amz-decoded-content-length", str(upload.length)),
        ("x-amz-trailer", str(upload.trailer)),
    ]


def _trust(upstream: S3Upstream) -> ssl.SSLContext:
    """The system's authorities and botocore's, or those of the setting beside the system's."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(upstream.ca or ROOTS_OF_TRUST)
    except ssl.SSLError as error:
        raise SettingsError(f"{NAME}_CA: there is no certificate (PEM) in {upstream.ca}") from error
    return context

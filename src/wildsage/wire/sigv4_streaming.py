"""Bodies whose integrity is proven while they stream.

``aws-chunked`` bodies carry their length and, signed or not, a proof with each chunk (Amazon S3 API Reference,
"Signature Calculations: Transferring Payload in Multiple Chunks").  A body of the plain kind is hashed on its way.
Whoever reads gets the bytes before the proof of them: an ApiError at the end means that they must not be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from wildsage.core.errors import ApiError
from wildsage.wire import sigv4_errors as errors
from wildsage.wire.http.messages import Body, BytesBody, Request, read_whole
from wildsage.wire.sigv4 import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Authorization,
    declared_hash,
    hash_of,
    signing_key,
    verify,
)

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
MAX_BODY = 64 * 1024 * 1024  # bytes of a body that is hashed as a whole
_MAX_LINE = 16 * 1024  # bytes of a chunk's head or of all trailers
_MAX_TRAILERS = 16
_HASHED_ASIDE = 1024 * 1024  # bytes that are hashed in a thread, beside whatever else is done with them


async def verify_request(authorization: Authorization, request: Request, secret: str, now: float) -> None:
    """``sigv4.verify`` with whatever the body needs: S3's streams on and proves itself, any other is held in memory.

    Raises ApiError, or BodyTooLarge for a body over MAX_BODY.
    """
    if authorization.dialect == "s3":
        verify(authorization, request, secret, declared_hash(authorization, request) or UNSIGNED_PAYLOAD, now)
        open_body(authorization, request, secret)
        return
    data = await request.body.read(MAX_BODY)
    request.body = BytesBody(data)
    verify(authorization, request, secret, hash_of(authorization, request, data), now)


def open_body(authorization: Authorization | None, request: Request, secret: str) -> None:
    """Puts the body that S3's x-amz-content-sha256 announces in the place of the raw one; call it after ``verify``.

    ``aws-chunked`` disappears from content-encoding, content-length becomes that of the content. Raises ApiError for an
    announcement that cannot be kept.
    """
    declared = request.header("x-amz-content-sha256") or UNSIGNED_PAYLOAD
    if authorization is not None and authorization.presigned and declared != UNSIGNED_TRAILER:
        declared = declared_hash(authorization, request) or UNSIGNED_PAYLOAD
    if declared.startswith("STREAMING-"):
        _open_chunked(authorization, request, secret, declared)
    elif len(declared) == 64:
        request.body = HashedBody(request.body, declared)
    elif declared != UNSIGNED_PAYLOAD:
        words = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value."
        raise ApiError("InvalidArgument", words, 400, {"ArgumentName": "x-amz-content-sha256"})


def _open_chunked(authorization: Authorization | None, request: Request, secret: str, declared: str) -> None:
    if declared not in (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER):
        raise ApiError("NotImplemented", f"{declared[:60]} is not supported; use {SIGNED}.", 501)
    chain: _Chain | None = None
    if declared != UNSIGNED_TRAILER:
        if authorization is None:
            raise errors.unsigned_request("s3")
        chain = _Chain(authorization, secret)
    text = request.header("x-amz-decoded-content-length")
    if text is None or not text.isdecimal() or len(text) > 18:
        raise ApiError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
    encodings = [part.strip() for part in (request.header("content-encoding") or "").split(",")]
    kept = ",".join(part for part in encodings if part and part != "aws-chunked")
    replaced = ("content-encoding", "content-length", "transfer-encoding")
    request.headers = [(name, value) for name, value in request.headers if name not in replaced]
    request.headers.append(("content-length", text))
    if kept:
        request.headers.append(("content-encoding", kept))
    request.body = ChunkedBody(request.body, int(text), chain, declared != SIGNED)


class HashedBody:
    """A body that raises XAmzContentSHA256Mismatch at its end if it is not the one that was signed."""

    def __init__(self, raw: Body, declared: str) -> None:
        self._raw = raw
        self._declared = declared

    async def __aiter__(self) -> AsyncIterator[bytes]:
        digest, loop = hashlib.sha256(), asyncio.get_running_loop()
        busy: asyncio.Future[None] | None = None
        chunks: list[bytes] = []
        held = 0
        async for chunk in self._raw:
            chunks.append(chunk)
            held += len(chunk)
            if held >= _HASHED_ASIDE:
                if busy is not None:
                    await busy
                busy = loop.run_in_executor(None, _each, digest.update, chunks)
                chunks, held = [], 0
            yield chunk
        if busy is not None:
            await busy
        _each(digest.update, chunks)
        if not hmac.compare_digest(digest.hexdigest().encode(), self._declared.encode()):
            raise errors.body_mismatch("s3", self._declared, digest.hexdigest())

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)


def _each(update: Callable[[bytes], None], chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        update(chunk)


class _Chain:
    """The signatures of chunks, each over the one before it."""

    def __init__(self, authorization: Authorization, secret: str) -> None:
        signed = authorization
        self._key = signing_key(secret, signed.date, signed.region, signed.service)
        self._authorization = signed
        self._previous = signed.signature

    def check(self, kind: str, digest: str, claimed: str) -> None:
        """``kind``: PAYLOAD, over an empty hash and the chunk's, or TRAILER, over the trailers' hash."""
        signed = self._authorization
        parts = [f"AWS4-HMAC-SHA256-{kind}", signed.timestamp, signed.scope, self._previous]
        parts += [EMPTY_SHA256, digest] if kind == "PAYLOAD" else [digest]
        to_sign = "\n".join(parts)
        computed = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(computed.encode(), claimed.encode("latin-1", "replace")):
            raise errors.mismatch(signed, to_sign, "")
        self._previous = computed


class ChunkedBody:
    """The content of an ``aws-chunked`` body.

    ``trailers``: what followed the content (names in lower case), once it has been read. ``length``: bytes of content.
    Raises ApiError: SignatureDoesNotMatch, IncompleteBody, InvalidChunkSizeError.
    """

    def __init__(self, raw: Body, length: int, chain: _Chain | None, has_trailers: bool) -> None:
        self.length = length
        self.trailers: dict[str, str] = {}
        self._raw = raw
        self._chain = chain
        self._has_trailers = has_trailers

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source = _Source(self._raw)
        received = 0
        while True:
            size, claimed = _parse_head(await source.line())
            received += size
            if received > self.length:
                raise _incomplete(received, self.length)
            digest = hashlib.sha256()
            left = size
            while left:
                piece = await source.some(left)
                left -= len(piece)
                if self._chain is not None:
                    digest.update(piece)
                yield piece
            if self._chain is not None:
                self._chain.check("PAYLOAD", digest.hexdigest(), claimed)
            if size == 0:
                break
            if await source.line():
                raise ApiError("InvalidChunkSizeError", "A chunk is longer than the size it gives.", 403)
        if received != self.length:
            raise _incomplete(received, self.length)
        await self._read_trailers(source)

    async def _read_trailers(self, source: _Source) -> None:
        """Lines up to an empty one (some clients leave that one out)."""
        lines: list[str] = []
        while True:
            line = await source.line(may_end=True)
            if not line:
                break
            lines.append(line)
            if len(lines) > _MAX_TRAILERS:
                raise ApiError("MalformedTrailerError", "There are too many trailers.", 400)
        for line in lines:
            name, found, value = line.partition(":")
            if not found:
                raise ApiError("MalformedTrailerError", "A trailer has no value.", 400)
            self.trailers[name.strip().lower()] = value.strip()
        claimed = self.trailers.pop("x-amz-trailer-signature", "")
        if self._chain is not None and self._has_trailers:
            signed = "".join(f"{name}:{value}\n" for name, value in self.trailers.items())
            self._chain.check("TRAILER", hashlib.sha256(signed.encode("latin-1")).hexdigest(), claimed)


@dataclass(slots=True)
class _Source:
    """The raw body, by lines and by pieces."""

    raw: Body
    pending: bytes = b""
    chunks: AsyncIterator[bytes] | None = None

    async def _more(self) -> bool:
        if self.chunks is None:
            self.chunks = aiter(self.raw)
        chunk = await anext(self.chunks, None)
        if chunk is None:
            return False
        self.pending += chunk
        return True

    async def line(self, may_end: bool = False) -> str:
        """Up to CR LF (or LF), without it."""
        while (end := self.pending.find(b"\n")) < 0:
            if len(self.pending) > _MAX_LINE:
                raise ApiError("InvalidChunkSizeError", "A chunk's head is too long.", 403)
            if not await self._more():
                if may_end:
                    line, self.pending = self.pending, b""
                    return line.decode("latin-1").strip()
                raise ApiError("IncompleteBody", "The request body terminated unexpectedly", 400)
        line, self.pending = self.pending[:end], self.pending[end + 1 :]
        return line.removesuffix(b"\r").decode("latin-1")

    async def some(self, limit: int) -> bytes:
        """At least one byte, at most ``limit``."""
        if not self.pending and not await self._more():
            raise ApiError("IncompleteBody", "The request body terminated unexpectedly", 400)
        piece, self.pending = self.pending[:limit], self.pending[limit:]
        return piece


def _parse_head(line: str) -> tuple[int, str]:
    """Size and signature of ``10000;chunk-signature=ab…``."""
    size, _, extension = line.partition(";")
    if not size or len(size) > 15 or any(digit not in "0123456789abcdefABCDEF" for digit in size):
        raise ApiError("InvalidChunkSizeError", "A chunk does not begin with its size.", 403)
    return int(size, 16), extension.strip().removeprefix("chunk-signature=")


def _incomplete(received: int, length: int) -> ApiError:
    words = "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header"
    return ApiError("IncompleteBody", f"{words}: {received} of {length}.", 400)

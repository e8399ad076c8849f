"""One output: it is there whole, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from wildsage.dataplane.transform.faults import Fault
from wildsage.dataplane.transform.s3 import S3, Refused, completion, member, of_output, path_of
from wildsage.wire.http.messages import Headers

_PART = 8 << 20
_GROWS_AFTER = 1000  # parts of one size: there may be 10,000

Upload = tuple[str, str, str]


class Sink:
    """``noted``: told of an upload in parts, as ``began`` before its first part goes, as ``gone`` when it is over."""

    def __init__(self, s3: S3, bucket: str, key: str, headers: Headers, noted: Callable[..., None]) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key
        self._headers = headers
        self._noted = noted
        self._buffer = bytearray()
        self._upload = ""
        self._tags: list[str] = []
        self._sending: asyncio.Task[str] | None = None

    async def write(self, data: bytes) -> None:
        """Waits only for the part before the last. Raises Fault."""
        self._buffer += data
        if len(self._buffer) >= _PART * (1 + len(self._tags) // _GROWS_AFTER):
            await self._send()

    async def complete(self) -> None:
        """From here on it is in S3. Raises Fault."""
        path = path_of(self._bucket, self._key)
        try:
            if not self._upload:
                await self._s3.ask("PUT", path, self._headers, bytes(self._buffer))
                return
            if self._buffer:
                await self._send()
            await self._sent()
            answer = await self._s3.ask(
                "POST", f"{path}?uploadId={self._upload}", [("content-type", "application/xml")], completion(self._tags)
            )
            if b"<CompleteMultipartUploadResult" not in answer.body:
                raise Fault(
                    f"InternalServerError: s3://{self._bucket}/{self._key} could not be put together.", last=True
                )
        except Refused as error:
            raise of_output(error, self._bucket, self._key) from error
        self._over()

    async def discard(self) -> None:
        """Nothing of it stays in S3, unless S3 cannot be reached."""
        if self._sending is not None:
            self._sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Fault, Refused):
                await self._sending
        if self._upload:
            await abort(self._s3, (self._bucket, self._key, self._upload))
            self._over()

    def _over(self) -> None:
        self._noted(gone=(self._bucket, self._key, self._upload))
        self._upload = ""

    async def _send(self) -> None:
        try:
            if not self._upload:
                answer = await self._s3.ask("POST", f"{path_of(self._bucket, self._key)}?uploads=", self._headers)
                self._upload = member(answer.body, "UploadId")
                self._noted(began=(self._bucket, self._key, self._upload))
            await self._sent()
        except Refused as error:
            raise of_output(error, self._bucket, self._key) from error
        part, self._buffer = bytes(self._buffer), bytearray()
        self._sending = asyncio.ensure_future(self._part(len(self._tags) + 1, part))

    async def _sent(self) -> None:
        if self._sending is not None:
            self._tags.append(await self._sending)
            self._sending = None

    async def _part(self, number: int, data: bytes) -> str:
        target = f"{path_of(self._bucket, self._key)}?partNumber={number}&uploadId={self._upload}"
        return (await self._s3.ask("PUT", target, [], data)).header("etag")


async def abort(s3: S3, upload: Upload) -> None:
    """Gives up an upload in parts that was begun; one that is gone already is none."""
    bucket, key, name = upload
    with contextlib.suppress(Refused, Fault):
        await s3.ask("DELETE", f"{path_of(bucket, key)}?uploadId={name}", [])

"""Reads of our own jobs, which have no client that would begin them again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.services.s3.upstream.forwarder import Forwarder
from wildsage.store.codec import Document

_ATTEMPTS: Final = 3  # in a row that bring no byte


class Resuming:
    """The body of an answer to GetObject; if it breaks off, the rest of the same object is asked for.

    Must be read to its end or closed.
    """

    def __init__(self, forwarder: Forwarder, request: Document, answer: Document) -> None:
        self._forwarder = forwarder
        # The same bytes or none: PreconditionFailed if the object was overwritten meanwhile.
        self._request = {**request, "IfMatch": answer["ETag"]}
        self._body: AsyncIterator[bytes] = answer["Body"]
        self._position, self._end = _place(answer)
        self._attempts = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            try:
                chunk = await anext(self._body)
            except ApiError as error:
                await self.aclose()
                self._attempts += 1
                if error.status < 500 or self._attempts > _ATTEMPTS:
                    raise
                self._body = await self._rest()
            else:
                self._position += len(chunk)
                self._attempts = 0
                return chunk

    async def aclose(self) -> None:
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

    async def _rest(self) -> AsyncIterator[bytes]:
        asked = {**self._request, "Range": f"bytes={self._position}-{self._end}"}
        body = (await self._forwarder.call("GetObject", asked, inner=True))["Body"]
        return _one(body) if isinstance(body, bytes) else body


def _place(answer: Document) -> tuple[int, int]:
    """First and last byte of the object that the answer brings."""
    told = answer.get("ContentRange")  # bytes 2-4/10
    if told:
        first, _, rest = str(told).removeprefix("bytes ").partition("-")
        return int(first), int(rest.partition("/")[0])
    return 0, int(answer["ContentLength"]) - 1


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk

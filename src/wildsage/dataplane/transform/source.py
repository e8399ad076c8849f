"""An object's bytes as they are wanted: ranges of one version of it, the next one fetched while one is worked on."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator

from wildsage.core.transforms import Item
from wildsage.dataplane.transform.faults import Fault
from wildsage.dataplane.transform.s3 import S3, Refused, of_input, path_of
from wildsage.wire.http.client import Whole

RANGE = 4 << 20
_INFLATED = 1 << 20


async def chunks(s3: S3, item: Item, gzip: bool) -> AsyncGenerator[bytes, None]:
    """All of the object, unpacked if it is gzip. Raises Fault."""
    if not gzip:
        async for data in _ranges(s3, item):
            yield data
        return
    unpacking = Gunzip(item)
    async for data in _ranges(s3, item):
        for piece in unpacking.feed(data):
            yield piece
    unpacking.finish()


async def _ranges(s3: S3, item: Item) -> AsyncGenerator[bytes, None]:
    """A range each: a stream would be cut off while a container thinks for longer than servers wait."""
    first = await _get(s3, item, 0, "")
    if first is None:
        return
    total = int(first.header("content-range").rpartition("/")[2] or len(first.body))
    tag, body, at = first.header("etag"), first.body, len(first.body)
    while True:
        ahead = asyncio.ensure_future(_get(s3, item, at, tag)) if at < total else None
        try:
            yield body
        except GeneratorExit:
            if ahead is not None:
                ahead.cancel()
            raise
        answer = await ahead if ahead is not None else None
        if answer is None:
            return
        body = answer.body
        at += len(body)


async def _get(s3: S3, item: Item, at: int, tag: str) -> Whole | None:
    """A range of the version that ``tag`` names; None if there are no bytes there."""
    headers = [("range", f"bytes={at}-{at + RANGE - 1}")]
    if tag:
        headers.append(("if-match", tag))
    try:
        return await s3.ask("GET", path_of(item.bucket, item.key), headers)
    except Refused as error:
        if error.status == 416 and not at:
            return None  # an empty object
        raise of_input(error, item) from error


class Gunzip:
    """One or several members of gzip, as they come."""

    def __init__(self, item: Item) -> None:
        self._item = item
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces of bounded size, however well it is packed. Raises Fault."""
        try:
            piece = b""
            while data or len(piece) == _INFLATED:
                if self._member.eof:
                    if not data.strip(b"\0"):
                        return  # padding behind the last member
                    self._member = zlib.decompressobj(wbits=31)
                self._begun = True
                piece = self._member.decompress(data, _INFLATED)
                data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                yield piece
        except zlib.error as error:
            raise self._fault(str(error)) from error

    def finish(self) -> None:
        """Raises Fault if something is missing."""
        if self._begun and not self._member.eof:
            raise self._fault("it ends too early")

    def _fault(self, words: str) -> Fault:
        return Fault(f"ClientError: {self._item} cannot be decompressed, although CompressionType is Gzip: {words}.")

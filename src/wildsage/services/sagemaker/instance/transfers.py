"""Objects between S3 and an instance's folder, as the role of the job or model."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError
from wildsage.kit.context import Calls
from wildsage.services.sagemaker.instance.places import Location, relative
from wildsage.services.sagemaker.instance.threads import Stopped, check, in_thread
from wildsage.store.codec import Document
from wildsage.wire.http.messages import BodyTooLarge, FileBody

_AT_ONCE = 8
_CHUNK = 1 << 20
_RANGE = 64 << 20
_MOST_AT_ONCE = 5 << 30  # PutObject takes no more (API reference)
_PART = 512 << 20
_MOST_PARTS = 10_000
# Two file systems, or one that cannot: copied by hand then.
_NOT_HERE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
# Two file systems, one without links, or as many links as a file may have.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
T = TypeVar("T")


class Transfers:
    """What one principal moves in one region. Raises ApiError as S3 answers."""

    def __init__(
        self, calls: Calls, caller: Caller, region: str, whole: int = _MOST_AT_ONCE, part: int = _PART
    ) -> None:
        """``whole``: bytes that go up in one request at most; ``part``: those of a part of what is larger."""
        self._calls = calls
        self._caller = caller
        self._region = region
        self._whole = whole
        self._part = part

    async def _s3(self, operation: str, params: dict[str, Any]) -> Document:
        return await self._calls.call(self._caller, self._region, "s3", operation, params)

    async def keys(self, prefix: Location) -> AsyncIterator[list[str]]:
        """Pages of the keys that begin with the prefix."""
        async for page in self.listed(prefix):
            yield [key for key, _ in page]

    async def listed(self, prefix: Location) -> AsyncIterator[list[tuple[str, int]]]:
        """As ``keys``, with the size of each object."""
        params: dict[str, Any] = {"Bucket": prefix.bucket, "Prefix": prefix.key}
        while True:
            page = await self._s3("ListObjectsV2", params)
            found = [(each["Key"], int(each["Size"])) for each in page.get("Contents", ())]
            if found:
                yield found
            if not page.get("IsTruncated"):
                return
            params["ContinuationToken"] = page["NextContinuationToken"]

    async def download_prefix(self, prefix: Location, folder: Path) -> int:
        """Every object of the prefix into ``folder``; returns how many. Raises ClientFault for impossible names."""
        count = 0

        async def fetch(key: str) -> None:
            path = relative(prefix.key, key)
            if path.endswith("/"):
                (folder / path).mkdir(parents=True, exist_ok=True)
            else:
                await self.download(Location(prefix.bucket, key), folder / path)

        async for keys in self.keys(prefix):
            count += len(keys)
            await several(keys, fetch)
        return count

    async def download(self, source: Location, target: Path) -> None:
        """One object as one new file. Raises FileExistsError."""
        await self._fetch(source, target, _copy)

    async def place(self, source: Location, target: Path) -> None:
        """One object as one new file that is only read and never written to: it may be the stored bytes themselves.

        Raises FileExistsError.
        """
        await self._fetch(source, target, _link)

    async def read(self, source: Location, limit: int) -> bytes:
        """The bytes of a small object; raises BodyTooLarge beyond ``limit``."""
        found = bytearray()

        async def take(body: AsyncIterator[bytes]) -> None:
            async for chunk in body:
                found.extend(chunk)
                if len(found) > limit:
                    raise BodyTooLarge(f"more than {limit} bytes")

        await self._get(source, partial(_read, found, limit), take)
        return bytes(found)

    async def _fetch(self, source: Location, target: Path, take: Callable[[FileBody, Path, Stopped], None]) -> None:
        def whole(body: FileBody, stopped: Stopped) -> None:
            take(body, target, stopped)

        await self._get(source, whole, partial(_write, target))

    async def _get(
        self,
        source: Location,
        whole: Callable[[FileBody, Stopped], None],
        streamed: Callable[[AsyncIterator[bytes]], Awaitable[None]],
    ) -> None:
        """One object, taken by ``whole`` (in a thread) where its bytes are a file of this machine."""
        params = {"Bucket": source.bucket, "Key": source.key}
        for last in (False, True):
            body = (await self._s3("GetObject", params))["Body"]
            try:
                if isinstance(body, FileBody):
                    await in_thread(partial(whole, body))
                else:
                    await streamed(_chunks(body) if isinstance(body, bytes) else body)
            except FileNotFoundError:
                # Overwritten between the answer and the open: the next answer names the new bytes.
                if last:
                    raise
            else:
                return

    async def upload(self, source: Path, target: Location) -> None:
        """One file as one object, however large."""
        with _opened(source, "rb") as file:
            await self.upload_open(file, target)

    async def upload_open(self, file: BinaryIO, target: Location) -> None:
        """An open file, as long as it is now, as one object; in parts if it is larger than one PutObject may be."""
        size = os.fstat(file.fileno()).st_size
        params = {"Bucket": target.bucket, "Key": target.key}
        if size <= self._whole:
            body = FilePart(file, 0, size)
            await self._s3("PutObject", {**params, "Body": body, "ContentLength": size})
            return
        upload = {**params, "UploadId": (await self._s3("CreateMultipartUpload", params))["UploadId"]}
        length = max(self._part, -(-size // _MOST_PARTS))
        parts = []
        try:
            for number, offset in enumerate(range(0, size, length), start=1):
                body = FilePart(file, offset, min(length, size - offset))
                part = {**upload, "PartNumber": number, "Body": body, "ContentLength": body.length}
                parts.append({"PartNumber": number, "ETag": (await self._s3("UploadPart", part))["ETag"]})
            await self._s3("CompleteMultipartUpload", {**upload, "MultipartUpload": {"Parts": parts}})
        except (ApiError, asyncio.CancelledError):
            with suppress(ApiError):  # the bucket may be gone; what was first is what the caller hears
                await self._s3("AbortMultipartUpload", upload)
            raise

    async def delete(self, target: Location) -> None:
        """Takes an object away; nothing happens if there is none."""
        await self._s3("DeleteObject", {"Bucket": target.bucket, "Key": target.key})


async def several(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Does ``work`` on all items, some at once; raises what one of them raised, and then ends the others."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def _link(body: FileBody, target: Path, stopped: Stopped) -> None:
    """The file of the stored object under a second name; a copy where it cannot have one, or is not all of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if body.offset == 0 and body.path.stat().st_size == body.length:
        try:
            os.link(body.path, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return
    _copy(body, target, stopped)


def _copy(body: FileBody, target: Path, stopped: Stopped) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    position, end = body.offset, body.offset + body.length
    with open(body.path, "rb") as source, open(target, "xb") as file:
        while position < end:
            check(stopped)
            done = _copy_range(source.fileno(), file.fileno(), position, min(_RANGE, end - position))
            if not done:
                raise OSError(f"{body.path} is shorter than it was said to be")
            position += done


def _read(found: bytearray, limit: int, body: FileBody, _stopped: Stopped) -> None:
    if body.length > limit:
        raise BodyTooLarge(f"{body.length} bytes, over the limit of {limit}")
    with open(body.path, "rb") as file:
        found.extend(os.pread(file.fileno(), body.length, body.offset))


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _copy_range(source: int, target: int, position: int, count: int) -> int:
    """Copies within the kernel; a copy-on-write file system shares the blocks instead."""
    try:
        return os.copy_file_range(source, target, count, position)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return os.write(target, os.pread(source, min(count, _CHUNK), position))


async def _write(target: Path, chunks: AsyncIterator[bytes]) -> None:
    await in_thread(lambda _: target.parent.mkdir(parents=True, exist_ok=True))
    with _opened(target, "xb") as file:
        async for chunk in chunks:
            await in_thread(partial(_append, file, chunk))


def _append(file: BinaryIO, chunk: bytes, _stopped: Stopped) -> None:
    file.write(chunk)


def _opened(path: Path, mode: Literal["rb", "xb"]) -> BinaryIO:
    """Opened at once and not in a thread: who is cancelled while a thread opens a file leaves it open."""
    return open(path, mode)


def _piece(file: BinaryIO, count: int, position: int, _stopped: Stopped) -> bytes:
    return os.pread(file.fileno(), count, position)


class FilePart:
    """``length`` bytes of an open file, from ``offset`` on, as a request body."""

    def __init__(self, file: BinaryIO, offset: int, length: int) -> None:
        self.length = length
        self._file = file
        self._offset = offset

    async def __aiter__(self) -> AsyncIterator[bytes]:
        position, end = self._offset, self._offset + self.length
        while position < end:
            # in_thread: who is cancelled here closes the file, and its number may then be another's.
            chunk = await in_thread(partial(_piece, self._file, min(_CHUNK, end - position), position))
            if not chunk:
                return  # it was cut off meanwhile: S3 says that the body is incomplete
            position += len(chunk)
            yield chunk

    async def read(self, limit: int) -> bytes:
        if self.length > limit:
            raise BodyTooLarge(f"{self.length} bytes, over the limit of {limit}")
        return b"".join([chunk async for chunk in self])

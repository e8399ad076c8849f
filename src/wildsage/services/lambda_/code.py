"""The code of functions: where it comes from, whether it can be code, and where it is kept, unpacked.

``functions/UID/SHA256/`` of the data directory holds ``code.zip`` and ``task/``, which workers see as /var/task. Code
that is replaced stays until the next start, for workers may still run in it.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wildsage.core import trees
from wildsage.core.errors import ApiError
from wildsage.core.settings import DataDir
from wildsage.kit.context import Context
from wildsage.services.lambda_ import rules
from wildsage.services.lambda_.names import error, invalid
from wildsage.store.codec import Document
from wildsage.wire.http.messages import FileBody

_ZIP, _TASK = "code.zip", "task"
_CHUNK = 1 << 20
_END, _END_SIZE, _COMMENT_MOST = b"PK\x05\x06", 22, 1 << 16  # the last record of an archive
_END_64, _LOCATOR, _BEFORE = b"PK\x06\x06", b"PK\x06\x07", 76  # and what may stand before it
_ENTRY_BYTES = 256  # of the directory: more than an entry has on the whole
# What comes of unpacking an upload that is no code: zipfile's documentation names the first alone, the others are what
# it was seen to raise for zips with bytes changed and cut out at random.
_NO_ARCHIVE = (
    zipfile.BadZipFile,  # no zip, or one that contradicts itself
    zlib.error,  # damaged data; bz2 says it by an OSError without a number
    lzma.LZMAError,  # the same
    EOFError,  # data that are cut off
    RuntimeError,  # encrypted; and, as NotImplementedError, packed in a way it does not know
    ValueError,  # names and links that lead out or nowhere (ours), and text that is none
)
_NO_TREE = (
    errno.EEXIST,  # this and the next three: names that cannot stand, beside others or at all
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,  # zipfile looks before the beginning of a file whose beginning is cut off
    None,  # bz2's
)
_TOO_MANY = f"The zip has too many entries: at most {rules.ENTRIES} files and folders are unpacked."
_UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


@dataclass(frozen=True, slots=True)
class Code:
    """Code that was checked. ``sha256``: in hexadecimal, the name of its folder; ``size``: bytes of the zip."""

    sha256: str
    size: int

    @property
    def shown(self) -> dict[str, Any]:
        """CodeSha256 and CodeSize."""
        return {"CodeSha256": base64.b64encode(bytes.fromhex(self.sha256)).decode(), "CodeSize": self.size}


def folder(data: DataDir, uid: str) -> Path:
    """All of one function's code."""
    return data.functions / uid


def task(data: DataDir, uid: str, sha256: str) -> Path:
    """What workers have at /var/task."""
    return folder(data, uid) / sha256 / _TASK


async def keep(ctx: Context, uid: str, given: Document) -> Code:
    """Takes the code that a FunctionCode names and unpacks it. Raises what Lambda raises for code that is none."""
    content = await _content(ctx, given)
    try:
        return await asyncio.to_thread(_unpack, folder(ctx.platform.settings.data, uid), content)
    except _NO_ARCHIVE:
        raise invalid(_UNREADABLE) from None
    except OSError as failed:
        if failed.errno not in _NO_TREE:
            raise
        raise invalid(_UNREADABLE) from None


async def check(ctx: Context, given: Document) -> Code:
    """As ``keep``, and nothing is kept."""
    place = "dry-" + os.urandom(8).hex()
    try:
        return await keep(ctx, place, given)
    finally:
        await asyncio.to_thread(trees.remove, folder(ctx.platform.settings.data, place))


async def remove(data: DataDir, uid: str) -> None:
    """All of a function's code goes."""
    await asyncio.to_thread(trees.remove, folder(data, uid))


async def _content(ctx: Context, given: Document) -> bytes:
    if given.get("ImageUri"):
        raise invalid("ImageUri is for functions of package type Image; give ZipFile, or S3Bucket and S3Key.")
    if given.get("ZipFile") is not None:
        if given.get("S3Bucket") or given.get("S3Key"):
            raise invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
        content: bytes = given["ZipFile"]
        if len(content) > rules.ZIP_BYTES:
            words = f"Request must be smaller than {rules.ZIP_BYTES * 4 // 3} bytes for the {ctx.operation} operation"
            raise error("RequestEntityTooLargeException", words, 413)
        return content
    if not given.get("S3Bucket") or not given.get("S3Key"):
        raise invalid("Please provide a source for function code.")
    return await _from_s3(ctx, given)


async def _from_s3(ctx: Context, given: Document) -> bytes:
    """Read as the caller, as AWS does."""
    asked = {"Bucket": given["S3Bucket"], "Key": given["S3Key"]}
    if given.get("S3ObjectVersion"):
        asked["VersionId"] = given["S3ObjectVersion"]
    try:
        answer = await ctx.platform.calls.call(ctx.caller, ctx.region, "s3", "GetObject", asked)
    except ApiError as refused:
        raise invalid(
            f"Error occurred while GetObject. S3 Error Code: {refused.code}. S3 Error Message: {refused.message}"
        ) from None
    if answer["ContentLength"] > rules.UNPACKED_BYTES:
        raise invalid(f"Unzipped size must be smaller than {rules.UNPACKED_BYTES} bytes")
    body = answer["Body"]
    if isinstance(body, FileBody):
        return await asyncio.to_thread(_slice, body)
    return body if isinstance(body, bytes) else b"".join([chunk async for chunk in body])


def _slice(body: FileBody) -> bytes:
    with body.path.open("rb") as file:
        file.seek(body.offset)
        return file.read(body.length)


def _unpack(home: Path, content: bytes) -> Code:
    digest = hashlib.sha256(content).hexdigest()
    place, building = home / digest, home / f".{os.urandom(8).hex()}"
    if not place.is_dir():
        building.mkdir(parents=True)
        try:
            (building / _ZIP).write_bytes(content)
            _extract(building / _ZIP, building / _TASK)
            _settle(building, place)
        except BaseException:
            trees.remove(building)
            if not any(home.iterdir()):
                home.rmdir()
            raise
    os.utime(home)  # newer than what a sweep may take away
    return Code(digest, len(content))


def _settle(building: Path, place: Path) -> None:
    try:
        building.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        trees.remove(building)  # the same code came twice at once


def _extract(source: Path, target: Path) -> None:
    """Files and folders, with the permissions they come with; nothing leads out of ``target``."""
    target.mkdir()
    left = rules.UNPACKED_BYTES
    if _entries(source) > rules.ENTRIES:
        raise invalid(_TOO_MANY)
    with zipfile.ZipFile(source) as archive:
        if len(archive.infolist()) > rules.ENTRIES:
            raise invalid(_TOO_MANY)
        if not archive.infolist():
            raise invalid("Uploaded file must be a non-empty zip")
        if sum(each.file_size for each in archive.infolist()) > left:
            raise invalid(f"Unzipped size must be smaller than {rules.UNPACKED_BYTES} bytes")
        links: list[tuple[Path, str]] = []
        for member in archive.infolist():
            path, mode = target / _within(member.filename), member.external_attr >> 16
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISLNK(mode):
                links.append((path, _where(archive.read(member))))
                continue
            with archive.open(member) as packed, path.open("wb") as file:
                # zipfile stops at the size that the archive names, so nothing grows beyond the sum above.
                shutil.copyfileobj(packed, file, _CHUNK)
            path.chmod((stat.S_IMODE(mode) & 0o755) | 0o444)
        for path, where in links:  # last, so that nothing is written through one
            path.symlink_to(where)


def _entries(source: Path) -> int:
    """How many the archive names, by the size of its directory if that is more, for its reader goes by that.

    Its last record says so (APPNOTE.TXT of PKWARE, 4.3.14 to 4.3.16); 0 for what is no archive.
    """
    with source.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _BEFORE - _END_SIZE - _COMMENT_MOST))
        end = file.read()
    at = len(end) - _END_SIZE
    if not (end[max(0, at) :].startswith(_END) and end.endswith(b"\0\0")):
        at = end.rfind(_END)
    if at < 0 or len(end) < at + _END_SIZE:
        return 0
    count: int
    length: int
    count, length = struct.unpack_from("<HL", end, at + 10)
    if at >= _BEFORE and end.startswith(_LOCATOR, at - 20) and end.startswith(_END_64, at - _BEFORE):
        count, length = struct.unpack_from("<QQ", end, at - _BEFORE + 32)
    return max(count, length // _ENTRY_BYTES)


def _where(content: bytes) -> str:
    if not content:
        raise ValueError("a link that leads nowhere")
    return content.decode()


def _within(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(name)
    return path

"""HTML forms with a file (multipart/form-data, RFC 7578), read while they arrive.

What comes before the file is kept; the file streams; what comes after it is left unread, as S3 does.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from wildsage.wire.http.messages import Body, read_whole

_MOST_BEFORE_FILE: Final = 64 * 1024  # bytes of all fields together; S3 takes 20 KB
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
# A name begins where a word does: looking from each of its letters would take the square of its length.
_PARAMETER: Final = re.compile(r'(?<!\w)(\w+)="((?:[^"\\]|\\.)*)"')


class MalformedForm(Exception):
    """The body is not a form, or ends too early."""


@dataclass(slots=True)
class Form:
    """``fields``: by lower-case name. ``filename``: as the browser gives it. ``file``: can be read once."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""
    file: Body | None = None


class _Reader:
    """The raw body with a look ahead."""

    def __init__(self, body: Body) -> None:
        self._chunks = aiter(body)
        self.held = b""

    async def more(self) -> bool:
        """Reads on; False at the end."""
        async for chunk in self._chunks:
            self.held += chunk
            return True
        return False

    async def until(self, mark: bytes, most: int) -> bytes:
        """What comes before ``mark``, which is consumed too. Raises MalformedForm."""
        while mark not in self.held:
            if len(self.held) > most or not await self.more():
                raise MalformedForm("a part of the form has no end")
        found, _, self.held = self.held.partition(mark)
        return found


class _FileBody:
    """The file's bytes, up to the boundary."""

    def __init__(self, reader: _Reader, delimiter: bytes) -> None:
        self._reader = reader
        self._delimiter = delimiter

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader, delimiter = self._reader, self._delimiter
        while True:
            before, found, _ = reader.held.partition(delimiter)
            if found:
                if before:
                    yield before
                return
            keep = len(delimiter) - 1
            if len(reader.held) > keep:
                ready, reader.held = reader.held[:-keep], reader.held[-keep:]
                yield ready
            if not await reader.more():
                raise MalformedForm("the file in the form has no end")

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)


async def open_form(content_type: str, body: Body) -> Form:
    """Reads up to the file. Raises MalformedForm."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise MalformedForm("the form has no boundary")
    delimiter = b"\r\n--" + boundary[1].encode("latin-1")
    reader = _Reader(body)
    reader.held = b"\r\n"
    await reader.until(delimiter, _MOST_BEFORE_FILE)
    form, size = Form(), 0
    while not (await _tail(reader)).startswith(b"--"):
        head = await reader.until(b"\r\n\r\n", _MOST_BEFORE_FILE)
        name, filename = _disposition(head)
        if name == "file":
            form.filename, form.file = filename, _FileBody(reader, delimiter)
            return form
        value = await reader.until(delimiter, _MOST_BEFORE_FILE)
        size += len(head) + len(value)
        if size > _MOST_BEFORE_FILE:
            raise MalformedForm("the fields before the file are too long")
        form.fields[name] = value.decode("utf-8", "replace")
    return form


async def _tail(reader: _Reader) -> bytes:
    """The two bytes that follow a delimiter: a line's end, or the end of the form."""
    while len(reader.held) < 2:
        if not await reader.more():
            raise MalformedForm("the form has no end")
    return reader.held


def _disposition(head: bytes) -> tuple[str, str]:
    """Lower-case name of the field, and file name."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition":
            found = dict(_PARAMETER.findall(value))
            return found.get("name", "").lower(), found.get("filename", "")
    raise MalformedForm("a part of the form has no name")

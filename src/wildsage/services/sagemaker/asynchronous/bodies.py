"""Bodies on their way between S3 and containers. They stream, whatever their size."""

from __future__ import annotations

from collections.abc import AsyncIterator

from wildsage.services.sagemaker.asynchronous.notices import MOST_INCLUDED
from wildsage.services.sagemaker.instance.threads import Stopped
from wildsage.wire.http.client import forgo, pieces
from wildsage.wire.http.client_connection import AnswerLost
from wildsage.wire.http.messages import ClientGone, FileBody, Headers, Response, read_whole


class Answer:
    """A container's answer as the body of an object, or of the next container's request.

    ``first``: its first bytes; ``lost``: why it broke off.
    """

    def __init__(self, response: Response) -> None:
        self.first = bytearray()
        self.lost: Exception | None = None
        self._response = response
        self._length = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in pieces(self._response):
                self._length += len(piece)
                if len(self.first) < MOST_INCLUDED:
                    self.first += piece[: MOST_INCLUDED - len(self.first)]
                yield piece
        except (AnswerLost, OSError) as error:
            self.lost = error
            raise ClientGone from error  # as S3 knows it of clients: nothing of the object is kept

    async def read(self, limit: int) -> bytes:
        """All of it; raises BodyTooLarge beyond ``limit``, and ClientGone if it breaks off."""
        return await read_whole(self, limit)

    def whole(self) -> bytes | None:
        """All of it, if it is small enough for a notice."""
        return bytes(self.first) if self._length <= MOST_INCLUDED else None

    async def close(self) -> None:
        """Nothing more is wanted of it."""
        await forgo(self._response)


class Pieces:
    """What S3 gives piece by piece, as the body of a request."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def read(self, limit: int) -> bytes:
        return await read_whole(self._pieces, limit)


def described(kind: str | None, length: int) -> Headers:
    return [("content-type", kind or "application/octet-stream"), ("content-length", str(length))]


def read(source: FileBody, _stopped: Stopped) -> bytes:
    with open(source.path, "rb") as file:
        file.seek(source.offset)
        return file.read(source.length)


def onward(answer: Response) -> Headers:
    """The headers of an answer that becomes a request."""
    length = answer.header("content-length")
    kind = ("content-type", answer.header("content-type") or "application/octet-stream")
    if isinstance(answer.body, bytes):
        length = str(len(answer.body))
    return [kind] if length is None else [kind, ("content-length", length)]

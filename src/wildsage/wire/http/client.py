"""An HTTP/1.1 client for neighbours: control behind its unix socket, model servers, registries on this machine.

    client = Client()
    response = await client.send("unix:/run/control.sock", request)

Bodies stream both ways at once.  Nothing is ever sent twice: a kept connection that turns out closed before anything
was written is replaced, any later failure is the caller's to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from wildsage.wire.http import heads
from wildsage.wire.http.client_connection import AnswerLost, ClientConnection, Pool, Unreachable
from wildsage.wire.http.messages import Body, BytesBody, FileBody, Headers, Request, Response
from wildsage.wire.http.streams import HIGH_WATER, LOW_WATER, StreamBody

_MOST_SHORT = 16 * 1024 * 1024
_CONTINUE_SECONDS = 1.0  # RFC 9110 section 10.1.1: do not wait for 100 Continue for ever


class TooLong(AnswerLost):
    """An answer that nobody wants to hold in memory."""


class Whole(NamedTuple):
    """An answer that is all here."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The first value of ``name`` (given in lower case); empty without one."""
        return next((value for key, value in self.headers if key == name), "")


class Client:
    """Keeps connections to any number of addresses. ``pool`` may be shared with others on the same event loop."""

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = pool or Pool()

    async def send(self, address: str, request: Request, head_seconds: float | None = None) -> Response:
        """Sends ``request`` and returns once the answer's head is here.

        The body of the answer is bytes if it came along, else an iterator that must be read to its end or closed
        (``aclose``).  A request body of unknown length, or whose headers say ``transfer-encoding``, is sent chunked.
        Raises Unreachable, AnswerLost, TimeoutError after ``head_seconds``, and what reading the body raises.
        """
        answer = await self._begun(address, request)
        try:
            async with asyncio.timeout(head_seconds):
                await answer.arrival()
        except BaseException:
            await answer.aclose()
            raise
        return answer.response()

    async def _begun(self, address: str, request: Request) -> _Answer:
        """The request is on its way."""
        while (kept := self._pool.take(address)) is not None:
            if (answer := self._asked(kept, request)) is not None:
                return answer
        answer = self._asked(await self._pool.connect(address), request)
        if answer is None:
            raise Unreachable(f"{address} closed the connection at once")
        return answer

    def _asked(self, connection: ClientConnection, request: Request) -> _Answer | None:
        """None, and nothing was sent, if the connection turns out closed."""
        answer = _Answer(connection, self._pool)
        try:
            return answer if answer.send(request) else None
        except BaseException:
            connection.forsake()
            raise

    async def whole(
        self,
        address: str,
        request: Request,
        seconds: float | None = None,
        *,
        head_seconds: float | None = None,
        most: int = _MOST_SHORT,
    ) -> Whole:
        """The answer once all of it is here. Raises as ``send`` does; TimeoutError if that takes ``seconds``.

        One of more than ``most`` bytes raises TooLong: containers, too, are asked so, and they may never end.
        """
        async with asyncio.timeout(seconds):
            response = await self.send(address, request, head_seconds)
            return Whole(response.status, response.headers, await gathered(response, most))

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()


async def pieces(response: Response) -> AsyncIterator[bytes]:
    """The body of an answer as it comes."""
    body = response.body
    assert not isinstance(body, FileBody)  # files are what servers send
    if isinstance(body, bytes):
        if body:
            yield body
        return
    async for piece in body:
        yield piece


async def gathered(response: Response, most: int) -> bytes:
    """The body of an answer in one piece. Raises TooLong beyond ``most`` bytes."""
    if isinstance(response.body, bytes):
        return response.body
    found = bytearray()
    async for piece in pieces(response):
        found += piece
        if len(found) > most:
            await forgo(response)
            raise TooLong(f"it is longer than {most} bytes")
    return bytes(found)


async def forgo(response: Response) -> None:
    """Nothing more is wanted of an answer."""
    if isinstance(response.body, _Answer):
        await response.body.aclose()


class _Answer:
    """One answer on its way; the iterator that a streamed Response carries."""

    def __init__(self, connection: ClientConnection, pool: Pool) -> None:
        self._connection = connection
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Future[None] = self._loop.create_future()
        self._stream = StreamBody(self, [])
        self._status = 0
        self._headers: Headers = []
        self._over = False
        self._paused = False
        self._iterator: AsyncIterator[bytes] | None = None
        self._proceed = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    def send(self, request: Request) -> bool:
        """Writes the request: at once if it is all here, else beside the answer.

        False, and nothing was sent, if the connection turns out closed by the other side (``ClientConnection.send``).
        """
        body, connection = request.body, self._connection
        connection.begin(self, request.method)
        headers = [(name, value) for name, value in request.headers if name != "transfer-encoding"]
        sized = any(name == "content-length" for name, _ in headers)
        if isinstance(body, BytesBody):
            headers = [(name, value) for name, value in headers if name != "expect"]
            framing = f"content-length: {len(body.data)}\r\n" if not sized and body.data else ""
            head = heads.request_head(request.method, request.target, headers, framing)
            connection.transport.write(head + body.data)
        else:
            framing = "" if sized else "transfer-encoding: chunked\r\n"
            connection.transport.write(heads.request_head(request.method, request.target, headers, framing))
        if connection.transport.is_closing():
            connection.forsake()
            return False
        if isinstance(body, BytesBody):
            return True
        waits = request.header("expect") is not None
        self._sending = asyncio.create_task(self._send_body(body, not sized, waits))
        self._sending.add_done_callback(self._sent)
        return True

    async def arrival(self) -> None:
        """Waits for the head; a request body that fails ends the wait."""
        if self._sending is not None:
            await asyncio.wait([self._sending, self._arrived], return_when=asyncio.FIRST_COMPLETED)
            if self._sending.done() and not self._sending.cancelled():
                self._sending.result()
        await self._arrived

    def response(self) -> Response:
        if self._over:
            return Response(self._status, self._headers, self._stream.take())
        return Response(self._status, self._headers, self)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._iterator is None:
            self._iterator = aiter(self._stream)
        try:
            return await anext(self._iterator)
        except StopAsyncIteration:
            raise
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Ends it: an answer that is not whole costs the connection."""
        if self._sending is not None:
            self._sending.cancel()
        if not self._over:
            self._over = True
            self._connection.transport.abort()

    # Receiver

    def on_continue(self) -> None:
        self._proceed.set()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def on_data(self, data: bytes) -> None:
        self._stream.feed(data)

    def on_pause(self) -> None:
        if self._status:
            self._announce()

    def on_end(self) -> None:
        if self._over:
            return
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()  # the other side has answered without wanting the rest
            self._connection.reusable = False
        self._over = True
        self._stream.finish()
        self._announce()
        if self._paused:
            self._connection.transport.resume_reading()
        self._pool.give(self._connection)

    def on_lost(self, error: AnswerLost) -> None:
        if self._over:
            return
        self._over = True
        if self._sending is not None:
            self._sending.cancel()
        self._stream.fail(error)
        if not self._arrived.done():
            self._arrived.set_exception(error)

    # streams.Source

    def body_wanted(self) -> None:
        """Nothing to do: servers do not wait to be asked."""

    def body_level(self, buffered: int) -> None:
        if self._over:
            return
        if buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self._connection.transport.pause_reading()
        elif buffered < LOW_WATER and self._paused:
            self._paused = False
            self._connection.transport.resume_reading()

    def _announce(self) -> None:
        if not self._arrived.done():
            self._arrived.set_result(None)
        self._proceed.set()

    async def _send_body(self, body: Body, chunked: bool, waits: bool) -> None:
        write = self._connection.transport.write
        if waits:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONTINUE_SECONDS):
                    await self._proceed.wait()
            if self._status:  # answered without wanting the body
                self._connection.reusable = False
                return
        async for chunk in body:
            write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            await self._connection.drain()
        if chunked:
            write(b"0\r\n\r\n")

    def _sent(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._connection.transport.abort()

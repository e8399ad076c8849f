"""The one port: accepts connections and tells TLS, bulk and everything else apart by the first bytes."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable

from wildsage.core.background import Background
from wildsage.wire.http.server import Server

log = logging.getLogger(__name__)

_HANDSHAKE = 0x16  # the content type of a TLS record that begins a handshake (RFC 8446 section 5.1)
_FIRST_BYTE_SECONDS = 60.0
_REST_SECONDS = 0.2
_PEEKED_BYTES = 8 * 1024


class Door:
    """Accepts from ``listener`` for ``server``. ``tls`` is asked when a client begins a handshake; None: not spoken.

    ``hand_over`` is offered every connection that begins with a request signed for S3 or one to the container registry,
    of which nothing has been read; True means that it was taken.
    """

    def __init__(
        self,
        listener: socket.socket,
        server: Server,
        tls: Callable[[], ssl.SSLContext | None],
        hand_over: Callable[[socket.socket], Awaitable[bool]],
    ) -> None:
        self._listener = listener
        self._server = server
        self._tls = tls
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._welcoming = Background()
        self._rest: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._open()

    def close(self) -> None:
        """Accepts no more; what was accepted is the server's to close."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        self._welcoming.cancel()

    def _open(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # the client has gone again, or there is no descriptor left for it
                log.warning("cannot accept a connection: %s", error)
                self._loop.remove_reader(self._listener.fileno())
                self._rest = self._loop.call_later(_REST_SECONDS, self._open)
                return
            sock.setblocking(False)
            self._welcoming.begin(self._welcome(sock))

    async def _welcome(self, sock: socket.socket) -> None:
        try:
            async with asyncio.timeout(_FIRST_BYTE_SECONDS):
                first = await self._first_bytes(sock)
            if not first or (is_bulk(first) and await self._hand_over(sock)):
                sock.close()
                return
            await self._server.serve_socket(sock, self._tls() if first[0] == _HANDSHAKE else None)
        except (OSError, TimeoutError) as error:
            log.debug("a connection that came to nothing: %s", error)
            sock.close()
        except asyncio.CancelledError:
            sock.close()
            raise

    async def _first_bytes(self, sock: socket.socket) -> bytes:
        """What has arrived, left where it is; empty if the client hung up."""
        try:
            return sock.recv(_PEEKED_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            ready = self._loop.create_future()
            self._loop.add_reader(sock.fileno(), _arrived, ready)
            try:
                await ready
            finally:
                self._loop.remove_reader(sock.fileno())
            return sock.recv(_PEEKED_BYTES, socket.MSG_PEEK)


def is_bulk(first: bytes) -> bool:
    """Whether a connection begins with a request signed for S3, in a header or in its query, or to ``/v2/``.

    A head that has not arrived as a whole may go unrecognised; then the router itself finds the way for its requests.
    """
    head = first.partition(b"\r\n\r\n")[0]
    if head.partition(b" ")[2].startswith(b"/v2/"):
        return True
    return b"/s3/aws4_request" in head or b"%2Fs3%2Faws4_request" in head


def _arrived(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

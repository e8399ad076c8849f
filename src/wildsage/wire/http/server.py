"""An HTTP/1.1 server: async handlers over ``connection.ServerConnection``.

    server = await start_server(handler, path=data.control_socket, behind_router=True)
    …
    await server.close(grace=5.0)

``handler(request) -> Response`` runs as a task of its own for every request.  Requests of one connection are answered
in order.  A handler that raises is a bug: it is logged and answered with a bare 500.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

from wildsage.core.background import Background
from wildsage.wire.http.connection import Members, ServerConnection
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.files import send_file
from wildsage.wire.http.limits import Limits
from wildsage.wire.http.messages import ClientGone, FileBody, Request, Response

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

# The router tells control by these who is calling, and takes them out of what clients send.
PEER_HEADER = "x-wildsage-peer"
SCHEME_HEADER = "x-wildsage-scheme"


class Handling:
    """Runs an async handler for exchanges: what ``start_server`` gives its connections as ``on_request``.

    ``cancel_when_gone``: a client that hangs up cancels its handler. Without it the handler finishes its work (its body
    reads raise ClientGone, its request's ``on_gone`` is called) and only the sending of its answer stops.
    """

    def __init__(self, handler: Handler, cancel_when_gone: bool = False, behind_router: bool = False) -> None:
        self._handler = handler
        self._cancel_when_gone = cancel_when_gone
        self._behind_router = behind_router
        self._work = Background()

    def __call__(self, exchange: Exchange) -> None:
        if self._behind_router:
            believe_router(exchange.request)
        task = self._work.begin(self._serve(exchange))
        if self._cancel_when_gone:
            exchange.on_gone = task.cancel
        else:
            exchange.on_gone = exchange.request.leave

    async def _serve(self, exchange: Exchange) -> None:
        await guarded(exchange, self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        await _send(exchange, await self._handler(exchange.request))

    async def close(self) -> None:
        """Cancels what still runs."""
        await self._work.close()


async def send_response(exchange: Exchange, response: Response) -> None:
    """Answers with ``response``, as ``guarded``."""
    await guarded(exchange, _send(exchange, response))


async def guarded(exchange: Exchange, work: Coroutine[None, None, None]) -> None:
    """Awaits ``work``, which answers ``exchange``; what goes wrong cuts the connection or becomes a bare 500."""
    try:
        await work
    except ClientGone:
        # Either nobody is there to be answered, or the rest of the body was malformed.
        if not exchange.started:
            exchange.keep_alive = False
            exchange.respond(400, [], b"")
        elif not exchange.gone:
            exchange.abort()
    except asyncio.CancelledError:
        if not exchange.gone:
            exchange.abort()
        raise
    except Exception:
        log.exception("%s %s failed", exchange.request.method, exchange.request.path)
        if exchange.started:
            exchange.abort()
        else:
            exchange.respond(500, [], b"")


class Server:
    """A listening server, or (without ``listener``) only the connections given to ``serve_socket``."""

    def __init__(self, on_request: Callable[[Exchange], None], limits: Limits) -> None:
        self._on_request = on_request
        self._limits = limits
        self._members = Members()
        self._listener: asyncio.Server | None = None
        self._pace: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._check_pace()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._members)

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accepts from ``sock``, which is bound already."""
        if sock.family == socket.AF_UNIX:
            self._listener = await self._loop.create_unix_server(self.connection, sock=sock, ssl=tls, backlog=1024)
        else:
            self._listener = await self._loop.create_server(self.connection, sock=sock, ssl=tls, backlog=1024)

    async def serve_socket(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serves a connection that somebody else accepted; returns once its handshake is done."""
        await self._loop.connect_accepted_socket(self.connection, sock, ssl=tls)

    def connection(self) -> ServerConnection:
        return ServerConnection(self._on_request, self._limits, self._members)

    async def close(self, grace: float = 5.0) -> None:
        """Stops listening, lets running requests finish for ``grace`` seconds, then cuts what is left."""
        if self._listener is not None:
            self._listener.close()
        for member in list(self._members):
            member.close_gently()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._members.none_left.wait(), grace)
        for member in list(self._members):
            member.transport.abort()
        if isinstance(self._on_request, Handling):
            await self._on_request.close()
        if self._pace is not None:
            self._pace.cancel()
        if self._listener is not None:
            await self._listener.wait_closed()

    def _check_pace(self) -> None:
        now = self._loop.time()
        for member in list(self._members):
            member.check_pace(now)
        self._pace = self._loop.call_later(min(1.0, self._limits.head_seconds / 4), self._check_pace)


async def start_server(
    handler: Handler,
    *,
    path: Path | None = None,
    sock: socket.socket | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    tls: ssl.SSLContext | None = None,
    cancel_when_gone: bool = False,
    behind_router: bool = False,
) -> Server:
    """Serves on the unix socket ``path`` (a stale one is replaced; mode 0600) or on the bound socket ``sock``.

    ``behind_router``: takes Request.peer and scheme from the headers that the router adds.
    """
    server = Server(Handling(handler, cancel_when_gone, behind_router), limits)
    if sock is None:
        if path is None:
            raise ValueError("either a path or a socket")
        sock = unix_listener(path)
    await server.listen(sock, tls)
    return server


def unix_listener(path: Path) -> socket.socket:
    """A listening-ready unix socket at ``path``, put in the place of a stale one in one step."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh = path.with_name(f".{path.name}")
    fresh.unlink(missing_ok=True)
    try:
        sock.bind(str(fresh))
        fresh.chmod(0o600)
        sock.listen(1024)
        fresh.rename(path)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


async def _send(exchange: Exchange, response: Response) -> None:
    body = response.body
    if isinstance(body, bytes):
        exchange.respond(response.status, response.headers, body)
        return
    if isinstance(body, FileBody):
        await send_file(exchange, response, body)
        return
    announced = response.header("content-length")
    task = asyncio.current_task()
    if task is not None:
        exchange.on_gone = task.cancel
    exchange.start(response.status, response.headers, None if announced is None else int(announced))
    try:
        if exchange.request.method != "HEAD":
            async for chunk in body:
                exchange.write(chunk)
                await exchange.drain()
        exchange.end()
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()


def believe_router(request: Request) -> None:
    """Takes peer and scheme from the headers that the router added."""
    kept = []
    for name, value in request.headers:
        if name == PEER_HEADER:
            request.peer = value
        elif name == SCHEME_HEADER:
            request.scheme = value
        else:
            kept.append((name, value))
    request.headers = kept

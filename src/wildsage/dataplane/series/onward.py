"""Takes chains from container to container, over kept connections where there are any."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from wildsage.dataplane.series.chain import Chain
from wildsage.wire.http.client_connection import ClientConnection, Pool, Unreachable

Spawn = Callable[[Coroutine[None, None, None]], None]


class KeptConnections:
    """``spawn``: begins a task; only a new connection needs one. The rest is as ``chain.Handing`` has it."""

    def __init__(self, pool: Pool, spawn: Spawn, limit: int, hold: Callable[[int], None]) -> None:
        self._pool = pool
        self._spawn = spawn
        self.limit = limit
        self.hold = hold

    def onward(self, chain: Chain, connection: ClientConnection) -> None:
        """``connection`` is free; what its container said goes to the next."""
        self._pool.give(connection)
        address = chain.address
        while (kept := self._pool.take(address)) is not None:
            if chain.send(kept):
                return
        self._spawn(self._connect(chain, address))

    async def _connect(self, chain: Chain, address: str) -> None:
        try:
            connection = await self._pool.connect(address)
        except Unreachable:
            chain.unreachable()
            return
        if chain.send(connection):
            return
        if connection.transport.is_closing():
            chain.unreachable()
        else:
            self._pool.give(connection)  # the client has gone in the meantime

"""Takes chains from container to container, over kept connections where there are any."""

from __future__ import annotations

from collections.abc import Callable

from wildsage.core.background import Background
from wildsage.dataplane.series.chain import Chain
from wildsage.wire.http.client_connection import ClientConnection, Pool, Unreachable


class KeptConnections:
    """Only a new connection needs a task, in ``background``. The rest is as ``chain.Handing`` has it."""

    def __init__(self, pool: Pool, background: Background, limit: int, hold: Callable[[int], None]) -> None:
        self._pool = pool
        self._background = background
        self.limit = limit
        self.hold = hold

    def onward(self, chain: Chain, connection: ClientConnection) -> None:
        """``connection`` is free; what its container said goes to the next."""
        self._pool.give(connection)
        if not self._sent(chain):
            self._background.begin(self._connect(chain))

    def _sent(self, chain: Chain) -> bool:
        """Whether it went over a kept connection."""
        while (kept := self._pool.take(chain.address)) is not None:
            if chain.send(kept):
                return True
        return False

    async def _connect(self, chain: Chain) -> None:
        while not chain.over:
            try:
                connection = await self._pool.connect(chain.address)
            except Unreachable:
                if not chain.elsewhere() or self._sent(chain):
                    return
                continue
            if chain.send(connection):
                return
            if not connection.transport.is_closing():
                self._pool.give(connection)  # the client has gone in the meantime
                return
            chain.elsewhere()

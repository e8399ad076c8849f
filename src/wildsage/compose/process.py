"""The control process: serves its socket until it is told to stop.

The socket is open, and the health route says 200, once the foundation stands. The rest is loaded behind it at once, in
a thread; a request for what is not there yet waits (``gateway.loaded``). If the rest cannot be loaded, the process ends
with the reason.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from wildsage.compose.ending import empty, end_containers
from wildsage.compose.foundation import Foundation, lay
from wildsage.core.addresses import ALIVE
from wildsage.core.settings import Settings
from wildsage.kit.standing import Begin, standing
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.http.server import start_server

TABLE = "wildsage.compose.table"
"""The module of everything else, by its name: importing it is most of what can wait."""

_GRACE_SECONDS = 5.0


class Whole(Protocol):
    """What ``complete`` of ``TABLE`` makes of a foundation (``table.Control``)."""

    def jobs(self) -> Mapping[str, Begin]: ...

    async def settled(self) -> None: ...

    async def rest(self) -> None: ...

    async def close(self) -> None: ...


Complete = Callable[[Foundation], Awaitable[Whole]]


class Process:
    """The control process: serves its socket until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._foundation: Foundation | None = None
        self._control: Whole | None = None
        self._work: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._ends_containers = False

    def stop(self, ends_containers: bool) -> None:
        """Begins the end. Without ``ends_containers`` they go on and the next control process adopts them."""
        self._ends_containers = ends_containers
        self._stopping.set()

    async def run(self) -> None:
        """Serves until ``stop``."""
        foundation = await self._lay()
        server = await start_server(self._handle, path=self._settings.data.control_socket, behind_router=True)
        await self._complete(foundation)
        gc.freeze()
        gc.enable()
        await self._stopping.wait()
        async with self._turn:  # a reset that is under way would begin everything anew behind it
            await server.close(_GRACE_SECONDS)
            await self._end()

    async def _handle(self, request: Request) -> Response:
        if request.path == ALIVE:  # amid a reset, too
            return Response(200, [("content-type", "application/json")], b"{}")
        foundation = self._foundation
        if foundation is None:  # a reset is under way
            async with self._turn:
                foundation = self._foundation
        if foundation is None:
            raise RuntimeError("the control process has no parts")
        response = await foundation.door.handle(request)
        await foundation.snapshot.settled()
        if self._control is not None:
            await self._control.settled()
        return response

    async def _lay(self) -> Foundation:
        self._foundation = await lay(self._settings, self._reset if self._settings.ephemeral else None)
        return self._foundation

    async def _complete(self, foundation: Foundation) -> None:
        complete: Complete = (await asyncio.to_thread(importlib.import_module, TABLE)).complete
        self._control = await complete(foundation)
        clock = foundation.platform.clock
        self._work = [
            asyncio.create_task(standing(name, begin, clock), name=name) for name, begin in self._control.jobs().items()
        ]

    async def _end(self) -> None:
        control, self._control = self._control, None
        foundation, self._foundation = self._foundation, None
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if control is not None and foundation is not None:
            await control.rest()
            if self._ends_containers:
                await end_containers(foundation.platform)
            await control.close()

    async def _reset(self) -> None:
        """Takes away every resource, object, log line and container; keys and the execution role stay."""
        async with self._turn:
            self._ends_containers = True
            await self._end()
            self._ends_containers = False
            await asyncio.to_thread(empty, self._settings.data)
            await self._complete(await self._lay())


async def serve(settings: Settings, lifeline: int | None) -> None:
    """Runs until SIGTERM or SIGINT, or until whoever holds the other end of ``lifeline`` is gone."""
    process = Process(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stop, True)
    if lifeline is not None:
        # The supervisor was killed: what runs is left for the next one.
        loop.add_reader(lifeline, process.stop, False)
    await process.run()

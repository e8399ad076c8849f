"""Giving back the room of a log that was read and kept elsewhere, now and then."""

from __future__ import annotations

from wildsage.runtimes.base import Handle, Runtime

_OFTEN = 4 << 20  # bytes: the log of an ordinary container is never worth it


class Taking:
    """Of one container's log, for whoever reads it from the beginning or from where it was left."""

    def __init__(self, runtime: Runtime, handle: Handle, offset: int = 0) -> None:
        self._runtime = runtime
        self._handle = handle
        self._released = offset

    async def up_to(self, offset: int) -> None:
        """All before ``offset`` is kept where it cannot be lost."""
        if offset - self._released >= _OFTEN:
            self._released = offset
            await self._runtime.release(self._handle, offset)

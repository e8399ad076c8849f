"""Waking whoever waits for a file to grow (inotify(7))."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_IN_MODIFY = 0x2
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_OVERFLOW = -1
_LOOK_EVERY = 0.25  # seconds
_libc = ctypes.CDLL(None, use_errno=True)


class _Watches:
    """A loop's descriptor of inotify, as long as there are watches.

    A user may have 128 of these at once (fs.inotify.max_user_instances), but many thousand watches.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._events: dict[int, set[asyncio.Event]] = {}
        loop.add_reader(descriptor, self._read)

    def add(self, path: Path, event: asyncio.Event) -> int | None:
        """The watch that sets ``event``; None where this user may have no more. A file has one watch for all."""
        watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY)
        if watch < 0:
            number = ctypes.get_errno()
            if number != errno.ENOSPC:
                raise OSError(number, os.strerror(number), str(path))
            return None
        self._events.setdefault(watch, set()).add(event)
        return int(watch)

    def remove(self, watch: int, event: asyncio.Event) -> None:
        events = self._events[watch]
        events.discard(event)
        if not events:
            del self._events[watch]
            _libc.inotify_rm_watch(self._descriptor, watch)  # it went by itself if the file is gone

    def close_if_unused(self) -> bool:
        if self._events:
            return False
        self._loop.remove_reader(self._descriptor)
        self._loop.run_in_executor(None, os.close, self._descriptor)  # the kernel takes 10 ms for it
        return True

    def _read(self) -> None:
        data, at = os.read(self._descriptor, 1 << 16), 0
        while at < len(data):
            watch, _, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            for events in self._events.values() if watch == _OVERFLOW else [self._events.get(watch, set())]:
                for event in events:
                    event.set()


_of_loops: dict[asyncio.AbstractEventLoop, _Watches] = {}


def _watches() -> _Watches | None:
    """Those of this loop; None where this user may have no descriptor of inotify."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loops:
        descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return None
        _of_loops[loop] = _Watches(descriptor, loop)
    return _of_loops[loop]


class Changes:
    """Wakes whoever waits when a file has grown. The watch holds from ``__enter__`` on.

    Where this user may have no more watches, it wakes four times a second instead. Raises OSError for a file that is
    not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._happened = asyncio.Event()
        self._watch: int | None = None

    def __enter__(self) -> Changes:
        watches = _watches()
        if watches is not None:
            try:
                self._watch = watches.add(self._path, self._happened)
            finally:
                _let_go(watches)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            watches = _of_loops[asyncio.get_running_loop()]
            watches.remove(self._watch, self._happened)
            _let_go(watches)

    def wake(self) -> None:
        self._happened.set()

    async def wait(self) -> None:
        """Returns once something has happened since the last call, or may have."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY if self._watch is None else None):
                await self._happened.wait()
        self._happened.clear()


def _let_go(watches: _Watches) -> None:
    if watches.close_if_unused():
        del _of_loops[asyncio.get_running_loop()]

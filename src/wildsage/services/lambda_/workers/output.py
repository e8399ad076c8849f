"""What a worker prints, and what Lambda says around it: into its log stream, and the end of it for LogType Tail."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.runtimes.base import Handle, Runtime
from wildsage.runtimes.taking import Taking

log = logging.getLogger(__name__)

_TAIL_BYTES = 4096
_MOST_WAITING = 5000
_MOST_CHARACTERS = 1 << 22
_AT_ONCE = 1000


class Output:
    """The log of one worker: read when asked, kept in order by a task of its own, so that no answer waits for a disk.

    ``writer``: as whom it is written. A role without the permissions of AWSLambdaBasicExecutionRole costs a function
    its log and nothing else, as on AWS.
    """

    def __init__(self, platform: Platform, runtime: Runtime, stream: LogStream, writer: Caller) -> None:
        self._platform = platform
        self._runtime = runtime
        self._stream = stream
        self._writer = writer
        self._offset = 0
        self._taking: Taking | None = None
        self._last = 0
        self._waiting: deque[tuple[int, str]] = deque()
        self._characters = 0  # that wait
        self._there = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._turn = asyncio.Lock()
        self._tail: deque[str] = deque()
        self._tail_bytes = 0
        self._keeping = asyncio.create_task(self._keep(), name=f"log of {stream.name}")

    async def collect(self, handle: Handle) -> None:
        """Takes what was printed since the last call. An engine tells it a moment later than it was printed."""
        async with self._turn:
            async for line in self._runtime.logs(handle, self._offset, follow=False):
                self._offset = line.offset
                # What the runtime's client writes of an error has a carriage return where the lines of one event end.
                self._put(line.at, line.text.replace("\r", "\n"))
                await self._taken(handle).up_to(line.offset)
                if len(self._waiting) >= _MOST_WAITING or self._characters >= _MOST_CHARACTERS:
                    self._room.clear()
                    await self._room.wait()

    def _taken(self, handle: Handle) -> Taking:
        """Lines that wait here are lost with this process, and the worker with them: its log need not keep them."""
        if self._taking is None:
            self._taking = Taking(self._runtime, handle)
        return self._taking

    def say(self, *lines: str) -> None:
        """Lines of the server's own."""
        now = self._platform.clock.now()
        for line in lines:
            self._put(now, line)

    def begin(self) -> None:
        """The tail begins here."""
        self._tail.clear()
        self._tail_bytes = 0

    @property
    def tail(self) -> bytes:
        """The last 4 KB since ``begin``."""
        last = "".join(f"{line}\n" for line in self._tail).encode("utf-8", "replace")[-_TAIL_BYTES:]
        return last.decode("utf-8", "ignore").encode()  # without what is left of a character that was cut

    async def close(self) -> None:
        """Returns once all of it is kept, or cannot be."""
        self._closing = True
        self._there.set()
        await self._keeping

    def _put(self, at: float, text: str) -> None:
        self._last = max(self._last, round(at * 1000))
        self._waiting.append((self._last, text))
        self._characters += len(text)
        self._tail.append(text)
        self._tail_bytes += len(text) + 1
        while len(self._tail) > 1 and self._tail_bytes - len(self._tail[0]) - 1 >= _TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft()) + 1
        self._there.set()

    async def _keep(self) -> None:
        allowed: bool | None = None
        while self._waiting or not self._closing:
            if not self._waiting:
                self._there.clear()
                await self._there.wait()
                continue
            lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            self._characters -= sum(len(text) for _, text in lines)
            self._room.set()
            try:
                if allowed is None:
                    allowed = await self._opened()
                if allowed:
                    await logstreams.append(self._platform, self._stream, lines)
            except (ApiError, OSError) as error:
                log.warning("%s lines of log stream %s are lost: %s", len(lines), self._stream.name, error)

    async def _opened(self) -> bool:
        """Makes the stream, and its group, if they are not there; False if the role may not write there."""
        absent = await logstreams.absent(self._platform, self._stream)
        calls = ["PutLogEvents", "CreateLogStream", "CreateLogGroup"][: 1 + len(absent)]
        missing = [each for each in calls if not await self._may(each)]
        if missing:
            self._complain(missing)
            return False
        await self._platform.facts.append(self._stream.topic, (), beside=logstreams.making(self._platform, absent))
        return True

    async def _may(self, call: str) -> bool:
        asked = {"logGroupName": self._stream.group}
        if call != "CreateLogGroup":
            asked["logStreamName"] = self._stream.name
        return await self._platform.calls.allowed(self._writer, self._stream.region, "logs", call, asked)

    def _complain(self, missing: Sequence[str]) -> None:
        actions = ", ".join(f"logs:{each}" for each in missing)
        log.warning("nothing is written to %s: %s may not %s", self._stream.name, self._writer.arn, actions)

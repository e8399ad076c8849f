"""The work of one instance: object after object through the containers, several requests at once, in order."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from wildsage.core.transforms import MIB, MOST_MIB, PROGRESS, Item, Order, progress_in
from wildsage.dataplane.transform import faults
from wildsage.dataplane.transform.batching import Batch, Batcher, LineBatches, RecordBatches
from wildsage.dataplane.transform.container import Containers, Failed, Limits
from wildsage.dataplane.transform.faults import Fault
from wildsage.dataplane.transform.processing import Unfit, processing_of
from wildsage.dataplane.transform.records import SPLITTERS, Malformed, TooLarge
from wildsage.dataplane.transform.s3 import S3
from wildsage.dataplane.transform.sink import Sink, abort
from wildsage.dataplane.transform.source import chunks
from wildsage.wire.http.messages import BodyTooLarge, Headers

_OBJECTS_AT_ONCE = 4


class Work:
    """``folder``: where its progress is kept."""

    def __init__(self, order: Order, items: Sequence[Item], folder: Path, s3: S3, containers: Containers) -> None:
        self._order = order
        self._items = items
        self._folder = folder
        self._s3 = s3
        self._containers = containers
        self._processing = processing_of(order)
        self._limits = Limits(1, 0, False)
        self._gate = asyncio.Semaphore()
        self._room = asyncio.Semaphore()

    async def run(self) -> bool:
        """Goes on where the last process stopped. Whether all objects, those before as well, went well."""
        known = progress_in(self._folder)
        with (self._folder / PROGRESS).open("a", buffering=1) as file:
            print(file=file)  # ends a line that a kill tore
            note = _noting(file)
            for upload in known.uploads:
                await abort(self._s3, upload)
                note(gone=upload)
            await self._begin()
            well = not known.reason
            left = iter([] if known.ended else [each for each in enumerate(self._items) if each[0] not in known.over])
            workers = [asyncio.create_task(self._work(left, note)) for _ in range(self._objects_at_once)]
            try:
                return all(await asyncio.gather(*workers)) and well
            except Fault:
                return False  # the others would fare no better
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _begin(self) -> None:
        await self._containers.ready()
        self._limits = limits = await self._containers.limits()
        self._gate, self._room = asyncio.Semaphore(limits.concurrent), asyncio.Semaphore(limits.concurrent + 1)
        _say(self._shown_limits())

    @property
    def _objects_at_once(self) -> int:
        """One that is sent in many requests needs no company; those of one request each are taken together."""
        concurrent = self._limits.concurrent
        return concurrent if self._order.split == "None" else min(concurrent, _OBJECTS_AT_ONCE)

    async def _work(self, left: Iterator[tuple[int, Item]], note: Callable[..., None]) -> bool:
        """One object after the other. Raises Fault if the rest is not worth trying."""
        well = True
        for number, item in left:
            try:
                await self._object(item, note)
            except Fault as fault:
                well = False
                _complain(item, fault)
                if fault.last:
                    note(fault=str(fault), ended=str(fault))
                    raise
                note(over=number, fault=str(fault))
            else:
                note(over=number)
        return well

    def _shown_limits(self) -> str:
        strategy = "SINGLE_RECORD" if self._limits.single else "MULTI_RECORD"
        return (
            f"MaxConcurrentTransforms={self._limits.concurrent}, MaxPayloadInMB={self._limits.payload_mib}, "
            f"BatchStrategy={strategy}"
        )

    async def _object(self, item: Item, note: Callable[..., None]) -> None:
        headers: Headers = []
        if self._order.accept:
            headers.append(("content-type", self._order.accept))
        if self._order.kms_key:
            headers.append(("x-amz-server-side-encryption", "aws:kms"))
            headers.append(("x-amz-server-side-encryption-aws-kms-key-id", self._order.kms_key))
        sink = Sink(self._s3, self._order.bucket, item.target, headers, note)
        try:
            answers = self._answers(item) if self._limits.payload else self._streamed(item)
            async with aclosing(answers):
                async for data in answers:
                    await sink.write(data)
            await sink.complete()
        except BaseException:
            await sink.discard()
            raise

    async def _streamed(self, item: Item) -> AsyncGenerator[bytes, None]:
        """One request for the whole object, however large, sent and answered in chunks."""
        end = b""
        async with aclosing(chunks(self._s3, item, self._order.gzip)) as source:
            try:
                async for data in self._containers.stream(_Streamed(source)):
                    end = data or end
                    yield data
            except Failed as error:
                raise self._unanswered(item, "", b"", error) from error
        if self._order.assemble == "Line" and end and not end.endswith(b"\n"):
            yield b"\n"

    async def _answers(self, item: Item) -> AsyncGenerator[bytes, None]:
        """What is kept of each batch's answer. Of all objects, one batch more than may be under way is at hand."""
        window: deque[tuple[Batch, asyncio.Task[bytes]]] = deque()
        try:
            async with aclosing(self._batches(item)) as batches:
                async for batch in batches:
                    while window and self._room.locked():  # who waits for room holds none, so somebody gives some back
                        yield await self._next(item, window)
                    await self._room.acquire()
                    window.append((batch, asyncio.create_task(self._answer(batch))))
            while window:
                yield await self._next(item, window)
        finally:
            for _, task in window:
                task.cancel()
                self._room.release()
            await asyncio.gather(*(task for _, task in window), return_exceptions=True)

    async def _answer(self, batch: Batch) -> bytes:
        async with self._gate:
            return await self._containers.invoke(batch.body)

    async def _next(self, item: Item, window: deque[tuple[Batch, asyncio.Task[bytes]]]) -> bytes:
        """What is kept of the answer to the first of the window, which goes."""
        batch, task = window[0]
        kept = await self._kept(item, batch, task)
        window.popleft()
        self._room.release()
        return kept

    async def _batches(self, item: Item) -> AsyncGenerator[Batch, None]:
        batcher = self._batcher()
        try:
            async with aclosing(chunks(self._s3, item, self._order.gzip)) as source:
                async for data in source:
                    for batch in batcher.feed(data):
                        yield batch
            for batch in batcher.finish():
                yield batch
        except TooLarge as error:
            whole = self._order.split == "None"
            raise faults.too_large(item, batcher.at, error.first, error.limit // MIB, whole) from error
        except Malformed as error:
            raise Fault(f"ClientError: {item}: after {batcher.at - 1} records: {error}.") from error
        except Unfit as error:
            raise faults.of_record(item, batcher.at, error.record, str(error)) from error

    def _batcher(self) -> Batcher:
        limits, prepare = self._limits, self._processing.sent if self._processing else None
        if self._order.split == "Line" and not limits.single and prepare is None:
            return LineBatches(limits.payload)
        # A filter may leave less of a record than it was; but it has to be in memory whole.
        most = limits.payload if prepare is None or self._order.input_filter == "$" else MOST_MIB * MIB
        return RecordBatches(SPLITTERS[self._order.split](most), limits.payload, limits.single, prepare)

    async def _kept(self, item: Item, batch: Batch, task: asyncio.Task[bytes]) -> bytes:
        try:
            answer = await task
        except Failed as error:
            raise await self._blamed(item, batch, error) from error
        lines = self._order.assemble == "Line"
        if self._processing is None:
            return answer if not lines or answer.endswith(b"\n") else answer + b"\n"
        try:
            kept = self._processing.kept(batch.origins, answer)
        except Unfit as error:
            origin = batch.origins[error.number]
            raise faults.of_record(item, batch.first + error.number, origin, str(error)) from error
        return b"".join(record + b"\n" for record in kept) if lines else b"".join(kept)

    async def _blamed(self, item: Item, batch: Batch, error: Failed) -> Fault:
        """The container refused a batch: which of its records is it that it cannot take?"""
        if self._order.split == "None":
            return self._unanswered(item, "", batch.body, error)
        while error.telling and batch.count > 1:
            for half in batch.halves():
                try:
                    await self._containers.invoke(half.body, retries=0)
                except Failed as found:
                    batch, error = half, found
                    break
            else:
                break  # each half by itself is fine
        if batch.count == 1:
            return self._unanswered(item, f"record {batch.first}: ", batch.body, error)
        place = f"records {batch.first} to {batch.first + batch.count - 1}, {len(batch.body)} bytes in one request: "
        return self._unanswered(item, place, batch.body, error)

    def _unanswered(self, item: Item, place: str, body: bytes, error: Failed) -> Fault:
        said = f': "{faults.said(error.body)}"' if error.body.strip() else ""
        begins = f' It begins "{faults.quoted(body, 100)}".' if body else ""
        kind = "ClientError" if error.status else "AlgorithmError"
        log = f"ClientError: {error.status}" if error.status else "Unable to get response from algorithm"
        if error.body:
            log += f"\n\nMessage:\n{error.body[:4000].decode('utf-8', 'replace')}"
        return Fault(f"{kind}: {item}: {place}{error}{said}.{begins}", log)


class _Streamed:
    """A body that is read while it is sent (``messages.Body``)."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._source:
            yield data

    async def read(self, limit: int) -> bytes:
        raise BodyTooLarge(f"a streamed body is not gathered, {limit} bytes or not")


def _noting(file: TextIO) -> Callable[..., None]:
    def note(**said: Any) -> None:
        file.write(json.dumps(said) + "\n")

    return note


def _say(text: str) -> None:
    """A line of the data log, in the form of AWS's."""
    now = datetime.now(UTC)
    print(f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}:[sagemaker logs]: {text}", flush=True)


def _complain(item: Item, fault: Fault) -> None:
    where = f"{item.bucket}/{item.key}"
    for line in f"{fault.log}\n{fault}".strip().split("\n"):
        _say(f"{where}: {line}")

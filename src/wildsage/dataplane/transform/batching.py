"""Puts records together into requests. Pure.

With MultiRecord as many records go into a request as MaxPayloadInMB has room for; with SingleRecord one, and then
without what is around it in RecordIO and TFRecord (API reference, TransformInput.SplitType).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from wildsage.dataplane.transform.processing import Unfit
from wildsage.dataplane.transform.records import SHOWN, Record, Splitter, TooLarge


@dataclass(frozen=True, slots=True)
class Batch:
    """One request. ``first``: the number of its first record in the object, from 1. ``count``: of its records.

    ``sent``: the bytes of each record as they are sent; empty if they are the lines of ``body``. ``origins``: each
    record as it was; empty if nobody asks.
    """

    first: int
    count: int
    body: bytes
    sent: tuple[bytes, ...] = ()
    origins: tuple[bytes, ...] = ()

    def halves(self) -> tuple[Batch, Batch]:
        """Two that together are this one; it must have two records at least."""
        sent, origins, cut = self.records(), self.origins, self.count // 2
        left = Batch(self.first, cut, b"".join(sent[:cut]), sent[:cut], origins[:cut])
        right = Batch(self.first + cut, self.count - cut, b"".join(sent[cut:]), sent[cut:], origins[cut:])
        return left, right

    def records(self) -> tuple[bytes, ...]:
        """Each as it is sent."""
        if self.sent:
            return self.sent
        *lines, rest = self.body.split(b"\n")
        return (*(line + b"\n" for line in lines), *([rest] if rest else []))


class Batcher(Protocol):
    """Makes batches of an object's bytes as they come. Both raise Malformed and TooLarge."""

    @property
    def at(self) -> int:
        """The number of the record that comes next."""
        ...

    def feed(self, data: bytes) -> Iterator[Batch]: ...

    def finish(self) -> Iterator[Batch]: ...


class LineBatches:
    """Lines in MultiRecord that nobody looks into: cut where the room ends, without touching each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self.at = 1

    def feed(self, data: bytes) -> Iterator[Batch]:
        self._buffer += data
        while len(self._buffer) > self._limit:
            cut = self._buffer.rfind(b"\n", 0, self._limit) + 1
            if not cut:
                raise TooLarge(bytes(self._buffer[:SHOWN]), self._limit)
            body = bytes(memoryview(self._buffer)[:cut])
            del self._buffer[:cut]
            yield self._batch(body)

    def finish(self) -> Iterator[Batch]:
        if self._buffer:
            yield self._batch(bytes(self._buffer))

    def _batch(self, body: bytes) -> Batch:
        count = body.count(b"\n") + (not body.endswith(b"\n"))
        first, self.at = self.at, self.at + count
        return Batch(first, count, body)


class RecordBatches:
    """Any records. ``single``: one in a request. ``prepare``: a record as it is sent, where it is looked into."""

    def __init__(
        self, splitter: Splitter, limit: int, single: bool, prepare: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._splitter = splitter
        self._limit = limit
        self._single = single
        self._prepare = prepare
        self._sent: list[bytes] = []
        self._origins: list[bytes] = []
        self._size = 0
        self.at = 1

    def feed(self, data: bytes) -> Iterator[Batch]:
        return self._gather(self._splitter.feed(data))

    def finish(self) -> Iterator[Batch]:
        yield from self._gather(self._splitter.finish())
        yield from self._flush()

    def _gather(self, records: Iterator[Record]) -> Iterator[Batch]:
        for record in records:
            sent = record.data if self._single else record.framed
            if self._prepare is not None:
                sent = self._prepared(record.data)
            if len(sent) > self._limit:
                raise TooLarge(record.data[:SHOWN], self._limit)
            if self._single or self._size + len(sent) > self._limit:
                yield from self._flush()
            self._sent.append(sent)
            if self._prepare is not None:
                self._origins.append(record.data)
            self._size += len(sent)
            self.at += 1
        if self._single:
            yield from self._flush()

    def _prepared(self, record: bytes) -> bytes:
        try:
            return self._prepare(record) if self._prepare is not None else record
        except Unfit as error:
            raise Unfit(str(error), record=record) from error

    def _flush(self) -> Iterator[Batch]:
        if self._sent:
            sent, origins = tuple(self._sent), tuple(self._origins)
            self._sent, self._origins, self._size = [], [], 0
            yield Batch(self.at - len(sent), len(sent), b"".join(sent), sent, origins)

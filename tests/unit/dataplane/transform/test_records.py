"""Objects taken apart, however their bytes arrive, and put together into requests."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.dataplane.transform.batching import Batch, Batcher, LineBatches, RecordBatches
from wildsage.dataplane.transform.records import (
    SPLITTERS,
    Lines,
    Malformed,
    Record,
    RecordIO,
    Splitter,
    TFRecord,
    TooLarge,
    Whole,
    masked_crc,
)

MAGIC = struct.pack("<I", 0xCED7230A)
PAYLOADS = st.lists(st.binary(max_size=40), max_size=8)
CUTS = st.lists(st.integers(0, 400), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The data as it might come from a network."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in pairwise(places):
        yield data[begin:end]


def split(splitter: Splitter, data: bytes, cuts: list[int]) -> list[Record]:
    found = [record for piece in pieces(data, cuts) for record in splitter.feed(piece)]
    return [*found, *splitter.finish()]


def recordio(payload: bytes, kind: int = 0) -> bytes:
    return MAGIC + struct.pack("<I", kind << 29 | len(payload)) + payload + bytes(-len(payload) % 4)


def tfrecord(payload: bytes) -> bytes:
    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked_crc(head)) + payload + struct.pack("<I", masked_crc(payload))


def test_the_checksum_is_that_of_tensorflow() -> None:
    """The head of a record of 24 bytes, as TensorFlow writes it; CRC-32C of "123456789" is 0xE3069283."""
    rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8
    assert masked_crc(b"123456789") == rotated & 0xFFFFFFFF


@given(PAYLOADS, CUTS)
def test_recordio_comes_apart(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(recordio(payload) for payload in payloads)
    found = split(RecordIO(100), data, cuts)
    assert [record.data for record in found] == payloads
    assert b"".join(record.framed for record in found) == data


@given(PAYLOADS, CUTS)
def test_tfrecord_comes_apart(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(tfrecord(payload) for payload in payloads)
    found = split(TFRecord(100), data, cuts)
    assert [record.data for record in found] == payloads
    assert b"".join(record.framed for record in found) == data


@given(st.binary(max_size=200), CUTS)
def test_lines_come_apart(data: bytes, cuts: list[int]) -> None:
    found = split(Lines(300), data, cuts)
    expected = [line for line in data.split(b"\n") if line.rstrip(b"\r")]
    assert [record.data.removesuffix(b"\n") for record in found] == expected


@given(st.binary(max_size=200), CUTS)
def test_the_whole_stays_whole(data: bytes, cuts: list[int]) -> None:
    assert [record.data for record in split(Whole(300), data, cuts)] == ([data] if data else [])


@given(st.sampled_from(sorted(SPLITTERS)), st.binary(max_size=300), CUTS)
def test_any_bytes_are_records_or_refused(kind: str, data: bytes, cuts: list[int]) -> None:
    try:
        found = split(SPLITTERS[kind](50), data, cuts)
    except (Malformed, TooLarge) as error:
        assert str(error)
    else:
        assert all(len(record.data) <= 50 for record in found)


def test_a_record_in_pieces_is_one_with_the_magic_number_between() -> None:
    data = recordio(b"abcd", 1) + recordio(b"efgh", 2) + recordio(b"ij", 3) + recordio(b"next")
    assert [record.data for record in split(RecordIO(100), data, [3, 11])] == [
        b"abcd" + MAGIC + b"efgh" + MAGIC + b"ij",
        b"next",
    ]


@pytest.mark.parametrize(
    ("splitter", "data", "words"),
    [
        (RecordIO(100), b"a,b\n1,2\n", "no magic number"),
        (RecordIO(100), recordio(b"abcdefgh")[:-2], "ends within"),
        (RecordIO(100), recordio(b"abcd", 3), "out of order"),
        (RecordIO(100), recordio(b"abcd", 1), "several pieces"),
        (TFRecord(100), b"some text, not records", "checksum"),
        (TFRecord(100), tfrecord(b"abc")[:-1], "ends within"),
    ],
)
def test_what_is_not_of_the_kind_is_refused(splitter: Splitter, data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        split(splitter, data, [])


@pytest.mark.parametrize(
    ("splitter", "data"),
    [
        (Lines(4), b"12\n12345\n"),
        (Lines(4), b"12\n1234567"),
        (Whole(4), b"12345"),
        (RecordIO(4), recordio(b"12345")),
        (RecordIO(6), recordio(b"1234", 1) + recordio(b"5678", 3)),
        (TFRecord(4), tfrecord(b"12345")),
    ],
)
def test_a_record_beyond_the_limit_is_refused_with_its_beginning(splitter: Splitter, data: bytes) -> None:
    with pytest.raises(TooLarge) as raised:
        split(splitter, data, [])
    assert raised.value.first.startswith(b"12")


def batches(batcher: Batcher, data: bytes, cuts: list[int]) -> list[Batch]:
    found = [batch for piece in pieces(data, cuts) for batch in batcher.feed(piece)]
    return [*found, *batcher.finish()]


LINES = st.lists(st.text("abc,1", min_size=1, max_size=20), min_size=1, max_size=30)


@given(LINES, CUTS, st.integers(21, 60), st.booleans())
def test_batches_of_lines_hold_all_of_them_in_order(lines: list[str], cuts: list[int], limit: int, fast: bool) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    found = batches(LineBatches(limit) if fast else RecordBatches(Lines(limit), limit, False), data, cuts)
    assert b"".join(batch.body for batch in found) == data
    assert all(len(batch.body) <= limit for batch in found)
    assert [batch.first for batch in found] == [1 + sum(each.count for each in found[:at]) for at in range(len(found))]
    assert sum(batch.count for batch in found) == len(lines)
    for batch, following in pairwise(found):  # none could have taken one record more
        assert len(batch.body) + len(following.records()[0]) > limit


@given(LINES)
def test_halves_are_the_whole(lines: list[str]) -> None:
    data = "\n".join(lines).encode()  # the last line has no end
    for batch in batches(LineBatches(1000), data, []):
        if batch.count > 1:
            left, right = batch.halves()
            assert (left.body + right.body, left.count + right.count) == (batch.body, batch.count)
            assert (left.first, right.first) == (batch.first, batch.first + left.count)
            assert (len(left.records()), len(right.records())) == (left.count, right.count)


def test_one_record_goes_without_what_is_around_it_several_with_it() -> None:
    data = recordio(b"first") + recordio(b"second")
    single = batches(RecordBatches(RecordIO(100), 100, True), data, [])
    assert [batch.body for batch in single] == [b"first", b"second"]
    assert [batch.body for batch in batches(RecordBatches(RecordIO(100), 100, False), data, [])] == [data]


def test_a_line_longer_than_a_request_is_refused_where_it_is() -> None:
    batcher = LineBatches(10)
    assert [batch.count for batch in batcher.feed(b"1\n2\n3\n4\n5\n6\n")] == [5]
    with pytest.raises(TooLarge):
        list(batcher.feed(b"7\n" + b"x" * 30))
        list(batcher.finish())
    assert batcher.at in (6, 8)

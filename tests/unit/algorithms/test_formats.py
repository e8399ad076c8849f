"""RecordIO-protobuf as the SageMaker SDK writes it, and the other formats."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.algorithms.formats import contenttype, recordio, records, tables

# Written by sagemaker.serializer_utils and record_pb2 of SDK v2.
_DENSE = (
    "CiPXzjAAAAAKGgoGdmFsdWVzEhASDgoMAADAPwAAAMAAAFBAEhIKBnZhbHVlcxIIEgYKBAAAgD8KI9fOMAAAAAoaCgZ2YWx1ZXMSEBIOCgwA"
    "AIBAAACgQAAAwEASEgoGdmFsdWVzEggSBgoEAAAAAA=="
)
_DOUBLES = "CiPXzjgAAAAKHgoGdmFsdWVzEhQaEgoQAAAAAAAA+D8AAAAAAAAAwBIWCgZ2YWx1ZXMSDBoKCggAAAAAAAAAQA=="
_INTEGERS = "CiPXzjcAAAAKGwoGdmFsdWVzEhE6DwoNAf7//////////wGsAhIYCgZ2YWx1ZXMSDjoMCgr5//////////8BAA=="
_SPARSE = (
    "CiPXzjMAAAAKHQoGdmFsdWVzEhMSEQoIAAAgQAAAgD8SAgEEGgEFEhIKBnZhbHVlcxIIEgYKBAAAgD8ACiPXzi4AAAAKGAoGdmFsdWVzEg4S"
    "DAoEAABAQBIBAhoBBRISCgZ2YWx1ZXMSCBIGCgQAAAAAAAA="
)
_WITH_MORE_FIELDS = "CiPXzh0AAAAKEgoGdmFsdWVzEggSBgoEAAAAPxoDYWJjIgJ7fQAAAA=="


@pytest.mark.parametrize(
    ("written", "features", "labels"),
    [
        (_DENSE, [[1.5, -2.0, 3.25], [4, 5, 6]], [1, 0]),
        (_DOUBLES, [[1.5, -2.0]], [2]),
        (_INTEGERS, [[1, -2, 300]], [-7]),
        (_SPARSE, [[0, 2.5, 0, 0, 1], [0, 0, 3, 0, 0]], [1, 0]),
        (_WITH_MORE_FIELDS, [[0.5]], None),
    ],
)
def test_what_the_sdk_writes_is_read(written: str, features: list[list[float]], labels: list[float] | None) -> None:
    table = tables.from_records(io.BytesIO(base64.b64decode(written)))
    assert table.features.tolist() == features
    assert (None if table.labels is None else table.labels.tolist()) == labels


def test_what_the_sdk_would_write_is_written() -> None:
    rows = [([1.5, -2.0, 3.25], 1.0), ([4, 5, 6], 0.0)]
    written = b"".join(recordio.frame(records.encode({"values": x}, {"values": y})) for x, y in rows)
    assert written == base64.b64decode(_DENSE)


@given(st.lists(st.binary(max_size=40) | st.just(b"ab\x0a\x23\xd7\xce") | st.just(b"\x0a\x23\xd7\xce" * 2)))
def test_records_survive_framing(given_records: list[bytes]) -> None:
    """Also those that contain the magic number, which are split there."""
    written = b"".join(map(recordio.frame, given_records))
    assert list(recordio.read(io.BytesIO(written))) == given_records


@pytest.mark.parametrize(
    "broken", [b"not recordio", base64.b64decode(_DENSE)[:-3], base64.b64decode(_DENSE)[:6], b"\x0a\x23\xd7\xce\x05"]
)
def test_what_is_no_recordio_is_told(broken: bytes) -> None:
    with pytest.raises(tables.Unreadable):
        tables.from_records(io.BytesIO(broken))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_malformed(data: bytes) -> None:
    try:
        records.decode(data)
    except records.Malformed:
        return


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=300), st.text(max_size=20))
def test_tensors_survive(values: list[float], name: str) -> None:
    found = records.decode(records.encode({name: values}, {"values": 3}))
    assert found.features[name].dense().tolist() == values
    assert found.label["values"].values.tolist() == [3]


def test_records_of_different_width_are_refused() -> None:
    written = b"".join(recordio.frame(records.encode({"values": x}, {})) for x in ([1, 2], [1, 2, 3]))
    with pytest.raises(tables.Unreadable, match="different numbers of features: 2, 3"):
        tables.from_records(io.BytesIO(written))


def test_csv() -> None:
    table = tables.from_csv(io.BytesIO("\ufeff1,0.5,2\n0,1e3,-4\n".encode()), 1)
    assert table.features.tolist() == [[0.5, 2], [1000, -4]]
    assert table.labels is not None and table.labels.tolist() == [1, 0]
    assert tables.from_csv(io.BytesIO(b"1,2"), 0).labels is None
    for broken, size in ((b"a,b\n1,2\n", 1), (b"1,2\n3\n", 1), (b"1\n2\n", 1), (b"\xff\xfe", 0)):
        with pytest.raises(tables.Unreadable):
            tables.from_csv(io.BytesIO(broken), size)


def test_content_types() -> None:
    found = contenttype.parse('Text/CSV; Label_Size=0; charset="utf-8"')
    assert found == ("text/csv", {"label_size": "0", "charset": "utf-8"})
    assert contenttype.parse("").media == ""


def test_a_sparse_key_beyond_its_shape_is_malformed() -> None:
    tensor = records.Tensor(np.ones(1, np.float32), [7], [5])
    with pytest.raises(records.Malformed):
        tensor.dense()


@given(st.integers(1, 6), st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_matrices_are_read_as_fast_as_slowly(width: int, count: int, labelled: bool, odd: int) -> None:
    """Records that are alike are read at once, others one by one; both find the same."""
    random = np.random.default_rng(width * count)
    x = random.normal(size=(count, width)).astype(np.float32) * random.integers(0, 2, (count, 1), dtype=np.int32)
    frames = [
        recordio.frame(records.encode({"values": row}, {"values": number} if labelled else {}))
        for number, row in enumerate(x)
    ]
    if odd and not labelled:  # a record of another form among them, which says the same
        frames[odd % count] = recordio.frame(records.encode({"values": x[odd % count]}, {}) + b"\x1a\x01u")
    table = tables.from_records(io.BytesIO(b"".join(frames)))
    np.testing.assert_array_equal(table.features, x.astype(np.float32))
    assert (table.labels is not None) == labelled
    if table.labels is not None:
        assert table.labels.tolist() == list(range(count))

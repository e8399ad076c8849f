"""Large CSV is read another way than small, and to the same end."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.toolkit.serving import formats

FIELDS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["1e5", " 2.5", "-0", "inf", "1_0", "0x1p3", "", "abc", '"3"']),
)
NUMBERS = st.one_of(st.floats(allow_nan=False).map(repr), st.integers(-(10**20), 10**20).map(str))


def slowly(text: str) -> Any:
    """As sagemaker-containers has it."""
    rows = list(csv.reader(io.StringIO(text), delimiter=",", quotechar='"', doublequote=True, strict=True))
    return np.array(rows).squeeze().astype(None)


def outcome(read: Any, text: str) -> Any:
    try:
        return read(text)
    except Exception as error:
        return type(error)


@given(
    st.lists(st.lists(FIELDS, min_size=2, max_size=3), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n", "\n\n"])
)
def test_any_rows_are_read_alike(rows: list[list[str]], end: str) -> None:
    text = "".join(",".join(row) + end for row in rows)
    large = text * (1 + 4096 // len(text))
    one, other = outcome(slowly, large), outcome(lambda given: formats.decode(given, formats.CSV), large)
    if isinstance(one, type):
        assert one is other
    else:
        assert np.array_equal(one, other)
        assert one.dtype == other.dtype


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.integers(1, 3))
def test_plain_numbers_are_read_the_quick_way(row: list[str], columns: int) -> None:
    line = ",".join(row[:columns]) + "\n"
    text = line * (1 + 4096 // len(line))
    assert formats._numbers(np, text) is not None
    assert np.array_equal(slowly(text), formats.decode(text, formats.CSV))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, -2, 3]),
        np.array([True, False]),
        np.array([0.1, 1e16, 1e-5, 123456789.123456789, -0.0, float("inf")]),
        np.array([0.1, 2.5], dtype=np.float32),
        np.array([[0.1, 2], [3, 4]]),
        np.array(["a,b", 'c"d']),
    ],
)
def test_answers_are_written_as_the_numbers_of_numpy_are(values: Any) -> None:
    rows = values.reshape(-1, 1) if values.ndim == 1 else values
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    assert formats.encode(values, formats.CSV).decode() == stream.getvalue()

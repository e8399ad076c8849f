"""Tables: what is read from a channel or a request, whatever its format."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from . import recordio, records

Array = np.ndarray[Any, Any]

_HEAD = 8  # bytes before a record's content


class Table(NamedTuple):
    """``features``: float32, one row a record. ``labels``: float32 of as many rows, or None."""

    features: Array
    labels: Array | None


class Unreadable(ValueError):
    """Data that are not what their content type says."""


def from_csv(stream: BinaryIO, label_size: int) -> Table:
    """Without a header; the first ``label_size`` columns are labels, of which the first counts."""
    text = io.TextIOWrapper(stream, "utf-8-sig")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            values = np.loadtxt(text, delimiter=",", dtype=np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    finally:
        text.detach()  # the stream is its owner's to close
    if values.size and values.shape[1] < label_size + 1:
        raise Unreadable(f"there are {values.shape[1]} columns, of which {label_size} would be labels")
    labels = values[:, 0].astype(np.float32) if label_size else None
    return Table(values[:, label_size:].astype(np.float32), labels)


def from_records(stream: BinaryIO) -> Table:
    """RecordIO-protobuf with a tensor ``values``; sparse ones become dense, as the images' ``force_dense`` does."""
    data = stream.read()
    if (table := _alike(data)) is not None:
        return table
    try:
        rows = [records.decode(each) for each in recordio.read(io.BytesIO(data))]
    except (recordio.Malformed, records.Malformed) as error:
        raise Unreadable(str(error)) from error
    return table_of(rows)


def _alike(data: bytes) -> Table | None:
    """What the SDK makes of a float32 matrix: records that differ in nothing but their numbers, read at once.

    None if the data are anything else.
    """
    try:
        first = next(recordio.read(io.BytesIO(data)), b"")
        record = records.decode(first)
    except (recordio.Malformed, records.Malformed):
        return None
    names = list(record.features), list(record.label)
    plain = {name: each.values for part in record for name, each in part.items()}
    if names not in ((["values"], []), (["values"], ["values"])) or any(v.dtype != np.float32 for v in plain.values()):
        return None
    features = record.features["values"].values
    label = record.label["values"].values if record.label else np.empty(0, np.float32)
    head = records.encode({"values": features}, {})
    whole = records.encode({"values": features}, {"values": label} if len(label) else {})
    frame = len(recordio.frame(whole))
    if whole != first or len(label) > 1 or len(data) % frame:
        return None
    rows = np.frombuffer(data, np.uint8).reshape(-1, frame)
    start, middle, end = _HEAD + len(head) - features.nbytes, _HEAD + len(head), _HEAD + len(whole)
    same = np.ones(frame, bool)
    same[start:middle] = same[end - label.nbytes : end] = False
    if not (rows[:, same] == rows[0, same]).all():
        return None
    matrix = np.ascontiguousarray(rows[:, start:middle]).view("<f4")
    labels = np.ascontiguousarray(rows[:, end - 4 : end]).view("<f4")[:, 0] if len(label) else None
    return Table(matrix, labels)


def table_of(rows: Iterable[records.Record]) -> Table:
    """Records of one width as a table. Raises Unreadable."""
    vectors: list[records.Tensor] = []
    labels: list[float] = []
    for number, row in enumerate(rows):
        tensor = row.features.get("values")
        if tensor is None:
            raise Unreadable(f"record {number} has no feature 'values'")
        vectors.append(tensor)
        label = row.label.get("values")
        if label is not None and len(label.values):
            labels.append(float(label.values[0]))
    if labels and len(labels) != len(vectors):
        raise Unreadable(f"only {len(labels)} of {len(vectors)} records have a label")
    return Table(stacked(vectors), np.array(labels, np.float32) if labels else None)


def stacked(vectors: list[records.Tensor]) -> Array:
    """One row for each vector. Raises Unreadable if they differ in width."""
    width = max((max(each.keys) + 1 for each in vectors if len(each.keys)), default=0)
    try:
        rows = [each.dense(width) for each in vectors]
    except records.Malformed as error:
        raise Unreadable(str(error)) from error
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise Unreadable(f"records have different numbers of features: {', '.join(map(str, sorted(widths)))}")
    return np.array(rows, np.float32) if rows else np.empty((0, 0), np.float32)


def joined(tables: Iterator[Table]) -> Table:
    """The tables of several files as one. Raises Unreadable if they do not fit together."""
    found = [table for table in tables if len(table.features)]
    if not found:
        return Table(np.empty((0, 0), np.float32), None)
    widths = {table.features.shape[1] for table in found}
    if len(widths) > 1:
        raise Unreadable(f"files have different numbers of features: {', '.join(map(str, sorted(widths)))}")
    labels = [table.labels for table in found if table.labels is not None]
    if labels and len(labels) != len(found):
        raise Unreadable("some files have labels and some have none")
    features = np.concatenate([table.features for table in found])
    return Table(features, np.concatenate(labels) if labels else None)

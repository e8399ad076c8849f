"""The files of a channel as a DMatrix: the label is the first column, or what a record calls its label."""

from __future__ import annotations

import csv
import importlib
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost
from scipy.sparse import csr_matrix

from ..formats import files, tables
from ..formats.tables import Array
from ..job import Channel
from .channels import CSV, LIBSVM, PARQUET
from .errors import UserError

_SNIPPET = 50


def read(channels: Sequence[Channel], kind: str, weighted: bool) -> Any:
    """All of the channels' files together; None where there are none.

    ``weighted``: the second column of CSV is the record's weight. Raises UserError.
    """
    found = [path for channel in channels for path in files.paths(channel) if ".cache" not in path]
    if not found:
        return None
    if kind == CSV:
        matrix = _from_csv(found, weighted)
    elif kind == LIBSVM:
        matrix = _from_libsvm(found)
    elif kind == PARQUET:
        matrix = _from_parquet(found)
    else:
        matrix = _from_records(found)
    if not matrix.get_label().size:
        raise UserError("Got input data without labels. Please check the input data set.")
    return matrix


def delimiter_of(line: str) -> str:
    """Raises UserError."""
    try:
        return csv.Sniffer().sniff(line).delimiter
    except csv.Error as error:
        raise UserError(f"Could not determine delimiter on line {line[:_SNIPPET]}:\n{error}") from error


def csv_rows(source: Any, delimiter: str) -> Array:
    """Numbers; an empty cell is not a number. ``source``: a path or an open text. Raises ValueError."""
    options: dict[str, Any] = {"delimiter": delimiter, "ndmin": 2, "comments": None, "dtype": np.float32}
    start = source.tell() if hasattr(source, "tell") else None
    try:
        return np.loadtxt(source, **options)
    except ValueError:
        if start is not None:
            source.seek(start)
        return np.loadtxt(source, converters=lambda cell: float(cell.strip() or "nan"), **options)


def _from_csv(paths: list[str], weighted: bool) -> Any:
    with open(paths[0], encoding="utf-8-sig", errors="ignore") as file:
        delimiter = delimiter_of(file.readline())
    try:
        rows = np.concatenate([csv_rows(path, delimiter) for path in paths])
    except ValueError as error:
        raise UserError(f"Failed to load csv data with exception:\n{error}") from error
    if weighted:
        return xgboost.DMatrix(rows[:, 2:], label=rows[:, 0], weight=rows[:, 1])
    return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])


def _from_libsvm(paths: list[str]) -> Any:
    """``label[:weight] [qid:n] index:value …``; indices count from 0, as XGBoost's own reader takes them."""
    reader = _Libsvm()
    for path in paths:
        with open(path, encoding="utf-8", errors="ignore") as file:
            for line in file:
                reader.take(line, os.path.basename(path))
    return reader.matrix()


class _Libsvm:
    def __init__(self) -> None:
        self._labels: list[float] = []
        self._weights: list[float] = []
        self._groups: list[int] = []
        self._indices: list[int] = []
        self._values: list[float] = []
        self._ends = [0]

    def take(self, line: str, name: str) -> None:
        words = line.partition("#")[0].split()
        if not words:
            return
        try:
            label, _, weight = words[0].partition(":")
            self._labels.append(float(label))
            if weight:
                self._weights.append(float(weight))
            for word in words[1:]:
                index, value = word.split(":")
                if index == "qid":
                    self._groups.append(int(value))
                    continue
                self._indices.append(int(index))
                self._values.append(float(value))
        except ValueError:
            raise UserError(
                f"First line '{line[:_SNIPPET]}...' of file '{name}' is not 'LIBSVM' format. Please ensure the file is "
                "in 'LIBSVM' format."
            ) from None
        self._ends.append(len(self._indices))

    def matrix(self) -> Any:
        rows = csr_matrix((self._values, self._indices, self._ends), dtype=np.float32)
        count = len(self._labels)
        for name, each in (("weight", self._weights), ("qid", self._groups)):
            if each and len(each) != count:
                raise UserError(f"Failed to load libsvm data with exception:\nonly {len(each)} records have a {name}")
        options = {"weight": self._weights or None, "qid": self._groups or None}
        return xgboost.DMatrix(rows, label=self._labels, **{name: each for name, each in options.items() if each})


def _from_parquet(paths: list[str]) -> Any:
    try:
        reader = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UserError(
            "Failed to load parquet data with exception:\npyarrow is not installed in the environment that stands in "
            "for this image. Install it there, or name another environment with WILDSAGE_PYTHON_XGBOOST."
        ) from None
    try:
        parts = []
        for path in paths:
            table = reader.read_table(path)
            parts.append(np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float32))
        rows = np.concatenate(parts)
    except Exception as error:
        raise UserError(f"Failed to load parquet data with exception:\n{error}") from error
    return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])


def _from_records(paths: list[str]) -> Any:
    def table(path: str) -> tables.Table:
        with open(path, "rb") as file:
            return tables.from_records(file)

    try:
        found = tables.joined(table(path) for path in paths)
    except tables.Unreadable as error:
        raise UserError(f"Failed to load recordio-protobuf data with exception:\n{error}") from error
    return xgboost.DMatrix(found.features, label=found.labels)


def libsvm_request(text: str) -> Any:
    """Rows of ``index:value``, with or without a label before them."""
    indices: list[int] = []
    values: list[float] = []
    ends = [0]
    for line in text.split("\n"):
        pairs = (word.split(":") for word in line.split() if ":" in word)
        for index, value in pairs:
            indices.append(int(index))
            values.append(float(value))
        ends.append(len(indices))
    return xgboost.DMatrix(csr_matrix((values, indices, ends), dtype=np.float32))


def csv_request(text: str) -> Any:
    guessed = csv.Sniffer().sniff(text.split("\n")[0][:512]).delimiter
    return xgboost.DMatrix(csv_rows(io.StringIO(text), "," if guessed.isalnum() else guessed))

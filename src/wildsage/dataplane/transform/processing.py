"""InputFilter, JoinSource and OutputFilter: what of a record is sent, and what of record and answer is kept. Pure.

Source: Developer Guide, "Associate Prediction Results with Input Records".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from wildsage.core.jsonpath import NotThere, Path, parse
from wildsage.core.transforms import CSV, MIB, MOST_MIB, Order, base_type

_OUTPUT, _INPUT = "SageMakerOutput", "SageMakerInput"

csv.field_size_limit(MOST_MIB * MIB)  # a field may be as long as a request: Python's limit, 128 KiB, is for others


class Unfit(Exception):
    """A record, or the answer to it, that cannot be processed.

    ``number``: of the record among those given, from 0. ``record``: its first bytes, where one was looked at alone.
    """

    def __init__(self, words: str, number: int = 0, record: bytes = b"") -> None:
        super().__init__(words)
        self.number = number
        self.record = record


class Rows:
    """CSV: a record is a row (RFC 4180, without line breaks in fields)."""

    def __init__(self, order: Order) -> None:
        self._input = parse(order.input_filter, csv=True)
        self._output = parse(order.output_filter, csv=True)
        self._join = order.join

    def sent(self, record: bytes) -> bytes:
        """The record as the container gets it. Raises Unfit."""
        if self._input.is_root:
            return record if record.endswith(b"\n") else record + b"\n"
        return _row_bytes(_columns(self._input, _row(record), "InputFilter")) + b"\n"

    def kept(self, origins: Sequence[bytes], answer: bytes) -> list[bytes]:
        """What is kept of each record, given the answer to all of them. Raises Unfit."""
        answers = _lines(answer)
        _check_count(len(origins), len(answers))
        return [self._kept(number, *pair) for number, pair in enumerate(zip(origins, answers, strict=True))]

    def _kept(self, number: int, origin: bytes, answer: bytes) -> bytes:
        if self._output.is_root:
            return origin.rstrip(b"\r\n") + b"," + answer if self._join else answer
        try:
            row = (_row(origin) if self._join else []) + _row(answer)
            return _row_bytes(_columns(self._output, row, "OutputFilter"))
        except Unfit as error:
            raise Unfit(str(error), number) from error


class Values:
    """JSON: a record is a value. ``lines``: each is a line, and so are the answers."""

    def __init__(self, order: Order) -> None:
        self._input = parse(order.input_filter)
        self._output = parse(order.output_filter)
        self._join = order.join
        self._lines = order.split == "Line"

    def sent(self, record: bytes) -> bytes:
        """The record as the container gets it. Raises Unfit."""
        sent = record.rstrip(b"\r\n")
        if not self._input.is_root:
            sent = _json(_selected(self._input, _value(record, "the record"), "InputFilter"))
        return sent + b"\n" if self._lines else sent

    def kept(self, origins: Sequence[bytes], answer: bytes) -> list[bytes]:
        """What is kept of each record, given the answer to all of them. Raises Unfit."""
        answers = self._answers(len(origins), answer)
        return [self._kept(number, *pair) for number, pair in enumerate(zip(origins, answers, strict=True))]

    def _answers(self, count: int, answer: bytes) -> list[Any]:
        """One value a record: the lines of the answer, or the elements of the array that it is."""
        if count == 1:
            return [_value(answer, "the container's answer")]
        lines = _lines(answer)
        if len(lines) == 1:
            value = _value(answer, "the container's answer")
            lines_or_elements: list[Any] = value if isinstance(value, list) else [value]
        else:
            lines_or_elements = [
                _value(line, f"line {at} of the container's answer") for at, line in enumerate(lines, 1)
            ]
        _check_count(count, len(lines_or_elements))
        return lines_or_elements

    def _kept(self, number: int, origin: bytes, answer: Any) -> bytes:
        joined = answer
        try:
            if self._join:
                value = _value(origin, "the record")
                joined = {**(value if isinstance(value, dict) else {_INPUT: value}), _OUTPUT: answer}
            return _json(_selected(self._output, joined, "OutputFilter"))
        except Unfit as error:
            raise Unfit(str(error), number) from error


Processing = Rows | Values


def processing_of(order: Order) -> Processing | None:
    """None where records and answers are left as they are."""
    if not order.processes:
        return None
    return Rows(order) if base_type(order.content_type) == CSV else Values(order)


def _check_count(records: int, answers: int) -> None:
    if records != answers:
        raise Unfit(
            f"the container answered {records} records with {answers} results, so they cannot be told apart. Have it "
            "answer one line a record, or use BatchStrategy SingleRecord."
        )


def _lines(answer: bytes) -> list[bytes]:
    return [line for line in (each.rstrip(b"\r") for each in answer.split(b"\n")) if line]


def _row(record: bytes) -> list[str]:
    try:
        text = record.decode().rstrip("\r\n")
        return next(csv.reader([text], strict=True), []) if '"' in text else text.split(",")
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unfit(f"it is not CSV: {error}") from error


def _row_bytes(row: list[str]) -> bytes:
    line = ",".join(row)
    if '"' not in line and line.count(",") == len(row) - 1:
        return line.encode()
    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(row)
    return stream.getvalue().encode()


def _columns(path: Path, row: list[str], name: str) -> list[str]:
    try:
        return path.columns(row)
    except NotThere as error:
        raise Unfit(f"{name} {path.text} does not fit: {error}") from error


def _selected(path: Path, value: Any, name: str) -> Any:
    try:
        return path.select(value)
    except NotThere as error:
        raise Unfit(f"{name} {path.text} does not fit: {error}") from error


def _value(text: bytes, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unfit(f"{what} is not JSON: {error}") from error


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")  # halves of pairs, which have no UTF-8; what it writes is JSON's

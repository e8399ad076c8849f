"""Filters and joins."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.core.transforms import Order
from wildsage.dataplane.transform.processing import Processing, Unfit, processing_of


def made(content_type: str, split: str = "Line", **changes: Any) -> Processing:
    order = Order("http://localhost", "us-east-1", (), "bucket", content_type=content_type, split=split, **changes)
    found = processing_of(order)
    assert found is not None
    return found


def test_nothing_is_looked_into_unless_it_is_asked() -> None:
    assert processing_of(Order("http://localhost", "us-east-1", (), "bucket", content_type="text/csv")) is None


def test_an_id_column_is_kept_from_the_model_and_joined_to_its_answer() -> None:
    rows = made("text/csv", input_filter="$[1:]", join=True, output_filter="$[0,-1]")
    assert rows.sent(b"id1,5,6\r\n") == b"5,6\n"
    assert rows.kept([b"id1,5,6\r\n", b"id2,7,8"], b"0.5\n0.7\n") == [b"id1,0.5", b"id2,0.7"]


def test_quoted_fields_stay_quoted() -> None:
    rows = made("text/csv; charset=utf-8", input_filter="$[0]", join=True, output_filter="$[0,2]")
    assert rows.sent(b'"a,b",c\n') == b'"a,b"\n'
    assert rows.kept([b'"a ""x"", b",c\n'], b"1") == [b'"a ""x"", b",1']


def test_a_join_alone_appends_the_answer() -> None:
    assert made("text/csv", join=True).kept([b"1,2,3\n"], b"1\n") == [b"1,2,3,1"]


@given(st.lists(st.lists(st.text("ab,\" '", min_size=1, max_size=5), min_size=3, max_size=3), min_size=1, max_size=5))
def test_any_rows_come_back(rows: list[list[str]]) -> None:
    """RFC 4180, without line breaks."""
    processing = made("text/csv", input_filter="$[*]", join=True, output_filter="$[0:2]")
    lines = [",".join('"' + field.replace('"', '""') + '"' for field in row).encode() + b"\n" for row in rows]
    assert [next(csv.reader([processing.sent(line).decode()])) for line in lines] == rows
    kept = processing.kept(lines, b"1\n" * len(lines))
    assert [next(csv.reader([line.decode()])) for line in kept] == rows


def test_a_quoted_field_may_be_a_long_text() -> None:
    record = b'"' + b"a, " * 100_000 + b'",7\n'
    assert made("text/csv", join=True, output_filter="$[1:]").kept([record], b"1\n") == [b"7,1"]


def test_half_a_character_of_json_stays_what_it_is() -> None:
    """JSON may name one half of a pair, which has no UTF-8."""
    values = made("application/jsonlines", input_filter="$.a", join=True, output_filter="$.a")
    assert values.sent(b'{"a":"\\ud800 \xc3\xa4"}\n') == b'"\\ud800 \xc3\xa4"\n'
    assert values.kept([b'{"a":"\\udc00"}\n'], b"1\n") == [b'"\\udc00"']


def test_values_get_an_attribute_or_become_one() -> None:
    values = made("application/jsonlines", join=True)
    assert values.kept([b'{"key":1}\n', b"[1,2]\n"], b'{"label":1}\n{"label":2}\n') == [
        b'{"key":1,"SageMakerOutput":{"label":1}}',
        b'{"SageMakerInput":[1,2],"SageMakerOutput":{"label":2}}',
    ]


def test_features_go_to_the_model_and_the_id_to_the_output() -> None:
    values = made(
        "application/jsonlines", input_filter="$.features", join=True, output_filter="$['id','SageMakerOutput']"
    )
    record = '{"id": 3, "features": [1, "ü"]}\n'.encode()
    assert values.sent(record) == '[1,"ü"]\n'.encode()
    assert values.kept([record], b"0.25\n") == [b'{"id":3,"SageMakerOutput":0.25}']


def test_the_answer_to_several_may_be_an_array() -> None:
    values = made("application/json", join=True)
    assert [json.loads(each) for each in values.kept([b"{}", b"{}"], b"[1, 2]")] == [
        {"SageMakerOutput": 1},
        {"SageMakerOutput": 2},
    ]


def test_a_whole_object_is_one_value() -> None:
    values = made("application/json", split="None", join=True)
    assert values.sent(b'{"a":\n 1}') == b'{"a":\n 1}'
    assert values.kept([b'{"a":\n 1}'], b"[1,\n 2]") == [b'{"a":1,"SageMakerOutput":[1,2]}']


def test_an_output_filter_without_a_join_is_about_the_answer() -> None:
    assert made("application/json", output_filter="$.score").kept([b"{}"], b'{"score":2,"x":1}') == [b"2"]


@pytest.mark.parametrize(
    ("processing", "origins", "answer", "number", "words"),
    [
        (made("text/csv", join=True), [b"1\n", b"2\n"], b"5\n", 0, "2 records with 1 results"),
        (made("text/csv", join=True, output_filter="$[5]"), [b"1\n"], b"5\n", 0, "index 5 is not within the 2"),
        (made("text/csv", join=True, output_filter="$[2]"), [b"1,2", b"3"], b"1\n2", 1, "OutputFilter \\$\\[2\\]"),
        (made("application/json", join=True), [b"{}"], b"<html>", 0, "container's answer is not JSON"),
        (made("application/json", join=True), [b"{}", b"{"], b"1\n2", 1, "the record is not JSON"),
        (made("application/json", join=True), [b"{}", b"{}"], b"1\n2\n3", 0, "2 records with 3 results"),
    ],
)
def test_what_does_not_fit_is_said(
    processing: Processing, origins: list[bytes], answer: bytes, number: int, words: str
) -> None:
    with pytest.raises(Unfit, match=words) as raised:
        processing.kept(origins, answer)
    assert raised.value.number == number


@pytest.mark.parametrize(
    ("processing", "record", "words"),
    [
        (made("text/csv", input_filter="$[3]"), b"1,2\n", "InputFilter \\$\\[3\\] does not fit"),
        (made("text/csv", input_filter="$[0]"), b"\xff\n", "not CSV"),
        (made("application/json", input_filter="$.a"), b"{}", "no attribute 'a'"),
        (made("application/json", input_filter="$.a"), b"{", "not JSON"),
    ],
)
def test_a_record_that_cannot_be_sent_is_said(processing: Processing, record: bytes, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        processing.sent(record)


def test_json_that_is_nested_too_deeply_is_the_records_fault() -> None:
    with pytest.raises(Unfit, match="the record is not JSON"):
        made("application/jsonlines", input_filter="$[0]").sent(b"[" * 100_000 + b"]" * 100_000)

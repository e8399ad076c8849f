"""The JSONPath of batch transform's filters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.core.jsonpath import InvalidPath, NotThere, parse

PERSON = {"id": 7, "name": {"first": "Ada", "last": "L"}, "scores": [1, 2, 3], "SageMakerOutput": [0.5]}


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        ("$", PERSON),
        ("$.id", 7),
        ("$.name.first", "Ada"),
        ("$['id']", 7),
        ("$['id','SageMakerOutput']", {"id": 7, "SageMakerOutput": [0.5]}),
        ("$.name.['first','last']", {"first": "Ada", "last": "L"}),
        ("$.name.*", ["Ada", "L"]),
        ("$.scores[*]", [1, 2, 3]),
        ("$.scores[0]", 1),
        ("$.scores[-1]", 3),
        ("$.scores[0,2]", [1, 3]),
        ("$.scores[1:]", [2, 3]),
        ("$.scores[:1]", [1, 2]),
        ("$.scores[0:0]", [1]),
        ("$.scores[0,1:]", [1, 2, 3]),
    ],
)
def test_a_path_selects(path: str, selected: object) -> None:
    assert parse(path).select(PERSON) == selected


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("$", "a,b,c,d,e,f"),
        ("$[0]", "a"),
        ("$[-1]", "f"),
        ("$[0,-1]", "a,f"),
        ("$[1:]", "b,c,d,e,f"),
        ("$[1:4]", "b,c,d,e"),
        ("$[:5]", "a,b,c,d,e,f"),
        ("$[1:99]", "b,c,d,e,f"),
        ("$[-2:]", "e,f"),
        ("$[*]", "a,b,c,d,e,f"),
    ],
)
def test_columns_are_selected_and_an_end_is_included(path: str, columns: str) -> None:
    assert ",".join(parse(path, csv=True).columns(list("abcdef"))) == columns


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "must begin with \\$"),
        ("id", "must begin with \\$"),
        ("$['account_id','SageMakerOutput']", 'Unexpected "_" in JsonPath. Supported operators'),
        ("$..id", "cannot be understood"),
        ("$[?(@.id)]", 'Unexpected "\\?"'),
        ("$[1:2,4:]", "only single range filters"),
        ("$[-]", "neither"),
        ("$[1", "cannot be understood"),
        ("$[]", "neither"),
        ("$['a','b'].c", "nesting of children"),
        ("$.a.['b','c.d']", "Nesting of children"),
    ],
)
def test_what_is_not_supported_is_refused_in_words(path: str, words: str) -> None:
    with pytest.raises(InvalidPath, match=words):
        parse(path)


@pytest.mark.parametrize("path", ["$.id", "$['id']", "$[0][1]"])
def test_rows_have_indexes_only(path: str) -> None:
    with pytest.raises(InvalidPath):
        parse(path, csv=True)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("$.nobody", "no attribute 'nobody'"),
        ("$['id','nobody']", "no attribute 'nobody'"),
        ("$.scores[3]", "index 3 is not within the 3"),
        ("$.scores[5:]", "index 5 is not within the 3"),
        ("$.id.first", "asked of a single value"),
        ("$[0]", "asked of an object"),
    ],
)
def test_what_a_value_lacks_is_said(path: str, words: str) -> None:
    with pytest.raises(NotThere, match=words):
        parse(path).select(PERSON)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(
    st.sampled_from([".a", ".b", ".*", "['a']", "['a','b']", "[0]", "[-1]", "[0,1]", "[1:]", "[:1]", "[*]"]), max_size=4
)


@given(JSON, PATHS)
def test_any_path_selects_json_or_says_what_is_missing(value: Any, steps: list[str]) -> None:
    try:
        found = parse("$" + "".join(steps)).select(value)
    except (InvalidPath, NotThere) as error:
        assert str(error)
    else:
        json.dumps(found)


@given(st.text(max_size=12))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        parse(text)
        parse(text, csv=True)
    except InvalidPath as error:
        assert str(error)

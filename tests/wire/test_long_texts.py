"""JSON of long strings is read as any other, without going through a long string in one go."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from wildsage.wire.bounds import Bound
from wildsage.wire.protocols import long_texts
from wildsage.wire.protocols.long_texts import read_bounded_json
from wildsage.wire.timestamps import Malformed

BOUND = Bound(1 << 30)
LONG = base64.b64encode(os.urandom(900_000)).decode()
ESCAPES = "\\n" * 700_000
BLANK = " " * 1_300_000


@pytest.mark.parametrize(
    "text",
    [
        f'{{"Code": {{"ZipFile": "{LONG}"}}, "Tags": {{}}}}',
        f'["{LONG}", "{LONG[4:]}", "short", "{LONG}", 1, null, {{"a": ["{LONG}"]}}]',
        f'"{LONG}"',
        f'{{"a": "{ESCAPES}", "b": "{LONG}"}}',
        f'{{"a": "\\"{LONG}", "b": "\\\\"}}',
        f'{{"a": "\\\\", "b": "{LONG}\\"", "c": "{LONG}"}}',
        f'{{"a": "{"é" * 700_000}", "b": "{LONG}"}}',
        f'{{"{LONG}": "key"}}',
        f'{{"a": "{LONG}", "a": "the last one counts"}}',
        f'{{"a": "b"{BLANK}, "c": {BLANK}"{LONG}"}}',
        f'{BLANK}{{"a": "{LONG}"}}{BLANK}',
        f'{{"a": {"1" * 4000}{BLANK}}}',
        f'{{"a": [{BLANK}"b"], "c": [{"[], " * 200}"{LONG}"]}}',
    ],
)
def test_what_is_read_is_what_python_reads(text: str) -> None:
    assert read_bounded_json(text.encode(), BOUND) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a": "{LONG}',
        f'{{"a": {LONG}}}',
        f'{{"a": "{LONG}\x01"}}',
        f'{{"a": "{LONG}" "b"}}',
        f'{{"a": "b"{LONG}"c"}}',
        LONG,
    ],
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(Malformed):
        read_bounded_json(text.encode(), BOUND)


def test_no_long_string_is_read_in_one_go() -> None:
    """It took control a tenth of a second, in which nobody was served."""
    tree: dict[str, Any] = {"FunctionName": "f", "Code": {"ZipFile": LONG * 8}, "Other": [LONG]}
    short, texts = long_texts._cut(json.dumps(tree).encode())
    assert len(short) < 300
    assert sorted(texts.values()) == sorted([LONG * 8, LONG])


def test_what_a_body_holds_beside_long_strings_is_bounded() -> None:
    text = f'{{"a": "{LONG}", "b": [{"1," * 200}1]}}'
    with pytest.raises(Malformed, match="over 100 values"):
        read_bounded_json(text.encode(), Bound(1 << 30, values=100))
    commas = json.dumps({"a": "," * 1_000_000, "b": LONG})
    assert read_bounded_json(commas.encode(), Bound(1 << 30, values=100)) == json.loads(commas)

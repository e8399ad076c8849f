"""CBOR: the examples of RFC 8949, appendix A, as far as Smithy uses them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wildsage.wire.cbor import MAX_DEPTH, BadCbor, EpochTime, dumps, loads

EXAMPLES: list[tuple[str, Any]] = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1b000000e8d4a51000", 1_000_000_000_000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("20", -1),
    ("3903e7", -1000),
    ("3bffffffffffffffff", -18446744073709551616),
    ("f90000", 0.0),
    ("f93e00", 1.5),
    ("f97bff", 65504.0),
    ("fa47c35000", 100000.0),
    ("fb3ff199999999999a", 1.1),
    ("f97c00", math.inf),
    ("f9fc00", -math.inf),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", None),
    ("c11a514b67b0", EpochTime(1363896240)),
    ("c1fb41d452d9ec200000", EpochTime(1363896240.5)),
    ("40", b""),
    ("4401020304", b"\1\2\3\4"),
    ("60", ""),
    ("62c3bc", "ü"),
    ("64f0908591", "𐅑"),
    ("83010203", [1, 2, 3]),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("5f42010243030405ff", b"\1\2\3\4\5"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9fff", []),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
]


@pytest.mark.parametrize(("encoded", "value"), EXAMPLES)
def test_examples_are_read(encoded: str, value: Any) -> None:
    assert loads(bytes.fromhex(encoded)) == value
    assert loads(dumps(value)) == value


def test_not_a_number() -> None:
    assert math.isnan(loads(bytes.fromhex("f97e00")))
    assert math.isnan(loads(dumps(math.nan)))


@pytest.mark.parametrize("value", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, -1, -24, -25, -(2**63)])
def test_heads_are_as_short_as_can_be(value: int) -> None:
    encoded = dumps(value)
    magnitude = value if value >= 0 else -1 - value
    assert len(encoded) == next(
        n for n, top in ((1, 24), (2, 256), (3, 65536), (5, 2**32), (9, 2**64)) if magnitude < top
    )
    assert loads(encoded) == value


HUGE = ("9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff", "81" * (MAX_DEPTH + 2))
BROKEN = (
    "",
    "18",
    "61",
    "9f",
    "bf6161",
    "a10102",
    "c200",
    "c16161",
    "1c",
    "f8ff",
    "ff",
    "0000",
    "5f6161ff",
    "62ff",
    "df",
)


@pytest.mark.parametrize("encoded", BROKEN + HUGE)
def test_what_is_broken_is_refused(encoded: str) -> None:
    with pytest.raises(BadCbor):
        loads(bytes.fromhex(encoded))


def test_numbers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(BadCbor):
        dumps(2**64)

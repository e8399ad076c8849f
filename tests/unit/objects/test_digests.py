"""Checksums against the catalogue's check values and against themselves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.objects.digests import ALGORITHMS, LINEAR, Digests, combine, digest

CHECK = b"123456789"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_the_check_values_of_the_crc_catalogue(algorithm: str, expected: str) -> None:
    assert digest(algorithm, CHECK).hex() == expected


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512", "MD5"])
def test_hashes_are_the_standard_library_s(algorithm: str) -> None:
    assert digest(algorithm, CHECK) == hashlib.new(algorithm.lower(), CHECK).digest()


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_pieces_give_the_digest_of_the_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    digests = Digests(ALGORITHMS)
    for piece in pieces:
        for update in digests.updates:
            update(piece)
    assert digests.checksums() == {algorithm: digest(algorithm, whole) for algorithm in ALGORITHMS}
    assert digests.md5() == hashlib.md5(whole, usedforsecurity=False).digest()
    for algorithm in LINEAR:
        assert combine(algorithm, [(digest(algorithm, piece), len(piece)) for piece in pieces]) == digest(
            algorithm, whole
        )

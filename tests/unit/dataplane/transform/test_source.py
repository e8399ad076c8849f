"""gzip as it comes, and what a killed process leaves."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wildsage.core.transforms import PROGRESS, Item, progress_in
from wildsage.dataplane.transform.faults import Fault
from wildsage.dataplane.transform.source import Gunzip

ITEM = Item("bucket", "key.gz", "out")


@given(st.lists(st.binary(max_size=300), max_size=4), st.lists(st.integers(0, 600), max_size=5))
def test_members_of_gzip_come_out_whole(members: list[bytes], cuts: list[int]) -> None:
    data = b"".join(gzip.compress(member) for member in members)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    unpacking = Gunzip(ITEM)
    found = b"".join(piece for begin, end in pairwise(places) for piece in unpacking.feed(data[begin:end]))
    unpacking.finish()
    assert found == b"".join(members)


def test_what_is_packed_well_comes_in_pieces() -> None:
    pieces = list(Gunzip(ITEM).feed(gzip.compress(bytes(5 << 20))))
    assert sum(map(len, pieces)) == 5 << 20
    assert max(map(len, pieces)) <= 1 << 20


@pytest.mark.parametrize("data", [b"1,2,3\n", gzip.compress(b"1,2,3", mtime=0)[:-4]], ids=["plain", "cut off"])
def test_damage_is_said(data: bytes) -> None:
    unpacking = Gunzip(ITEM)
    with pytest.raises(Fault, match=r"s3://bucket/key\.gz cannot be decompressed"):
        list(unpacking.feed(data))
        unpacking.finish()


def test_progress_is_read_whatever_a_kill_tore(tmp_path: Path) -> None:
    assert progress_in(tmp_path).over == set()
    lines = [{"began": ["b", "k", "u"]}, {"gone": ["b", "k", "u"]}, {"over": 0}, {"over": 1, "fault": "first"}]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (tmp_path / PROGRESS).write_text(text + '{"over": 2, "fau' + '\n{"began": ["b", "k2", "u2"]}\n{"over"')
    found = progress_in(tmp_path)
    assert (found.over, found.faults, found.uploads, found.reason) == ({0, 1}, ["first"], {("b", "k2", "u2")}, "first")

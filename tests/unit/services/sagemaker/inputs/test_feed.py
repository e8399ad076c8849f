"""The program that streams channels into named pipes, run by itself."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from wildsage.services.sagemaker.instance.inputs import feed

_PATIENCE = 60.0
Part = int | str


class Fed:
    """A plan, and the program that runs it."""

    def __init__(self, folder: Path) -> None:
        self.plan = folder / "plan"
        self.pipes = folder / "pipes"
        (self.plan / "blobs").mkdir(parents=True)
        self.pipes.mkdir()
        self.process: subprocess.Popen[str]

    def start(self, blobs: Sequence[bytes], channels: Mapping[str, Mapping[str, Any]]) -> None:
        """``channels``: name → entries and whatever is not as usual."""
        for number, blob in enumerate(blobs):
            (self.plan / "blobs" / str(number)).write_bytes(blob)
        self.begin(len(blobs), channels)

    def begin(self, blobs: int, channels: Mapping[str, Mapping[str, Any]]) -> None:
        (self.plan / "blobs.txt").write_text("".join(f'"s3://b/{number}"\n' for number in range(blobs)))
        usual = {"seed": None, "index": 0, "count": 1, "gzip": False, "recordio": False}
        documents = []
        for name, channel in channels.items():
            entries: Sequence[Sequence[Part]] = channel["entries"]
            (self.plan / f"{name}.entries").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
            documents.append({"name": name, **usual, **{key: channel[key] for key in channel if key != "entries"}})
            for epoch in (0, 1):
                feed.make_pipe(self.pipes / f"{name}_{epoch}")
        (self.plan / "plan.json").write_text(json.dumps(documents))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(feed.__file__), str(self.plan), str(self.pipes)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def epoch(self, channel: str, number: int) -> bytes:
        return (self.pipes / f"{channel}_{number}").read_bytes()

    def words(self) -> str:
        """The last line of a program that has ended by itself."""
        out, _ = self.process.communicate(timeout=_PATIENCE)
        assert self.process.returncode == 1
        return out.splitlines()[-1]


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Fed]:
    found = Fed(tmp_path)
    yield found
    found.process.kill()
    found.process.communicate()


def records(data: bytes) -> list[bytes]:
    """As the SDK's sagemaker.amazon.common.read_recordio reads them."""
    found = []
    while data:
        magic, length = struct.unpack_from("<II", data)
        assert magic == 0xCED7230A
        found.append(data[8 : 8 + length])
        data = data[8 + length + -length % 4 :]
    return found


def test_each_epoch_is_all_of_the_channel_through_a_pipe_of_its_own(fed: Fed) -> None:
    fed.start([b"one\n", b"", b"two\n"], {"train": {"entries": [[0], [1], [2]]}, "test": {"entries": [[2]]}})
    for number in range(3):
        assert fed.epoch("train", number) == b"one\ntwo\n"
        assert (fed.pipes / f"train_{number + 1}").is_fifo(), "the next pipe is there before it can be opened"
    assert fed.epoch("test", 0) == b"two\n"
    assert fed.epoch("train", 3) == b"one\ntwo\n"
    assert not (fed.pipes / "train_0").exists()


def test_a_reader_that_closes_early_ends_the_epoch(fed: Fed) -> None:
    fed.start([os.urandom(8 << 20)], {"train": {"entries": [[0], [0]]}})
    with (fed.pipes / "train_0").open("rb") as pipe:
        first = pipe.read(10)
    for number in (1, 2):
        with (fed.pipes / f"train_{number}").open("rb"):
            pass  # not a single byte
    assert len(fed.epoch("train", 3)) == 16 << 20
    with (fed.pipes / "train_4").open("rb") as pipe:
        assert pipe.read(10) == first


def test_a_channel_without_entries_is_empty_in_each_epoch(fed: Fed) -> None:
    fed.start([], {"train": {"entries": []}})
    assert [fed.epoch("train", number) for number in range(3)] == [b"", b"", b""]


def test_shuffled_shares_are_dealt_out_anew_in_each_epoch(fed: Fed) -> None:
    blobs = [bytes([number]) for number in range(20)]
    entries = [[number] for number in range(20)]
    fed.start(blobs, {"train": {"entries": entries, "seed": 5, "index": 1, "count": 3}})
    for number in range(3):
        expected = [each[0] for each in feed.share(entries, 5, number, 1, 3)]
        assert list(fed.epoch("train", number)) == expected


def test_objects_and_attributes_are_wrapped_as_records(fed: Fed) -> None:
    blobs = [b"picture", b"12345678", b""]
    fed.start(blobs, {"train": {"entries": [[0, "1"], [1, "größer"], [2, ""]], "recordio": True}})
    whole = [b"picture", b"1", b"12345678", "größer".encode(), b"", b""]
    assert records(fed.epoch("train", 0)) == whole
    assert records(fed.epoch("train", 1)) == whole


def test_attributes_without_records_stand_one_after_another(fed: Fed) -> None:
    fed.start([b"picture"], {"train": {"entries": [[0, "1"], ["x", 0]]}})
    assert fed.epoch("train", 0) == b"picture1xpicture"


def test_compressed_objects_arrive_as_they_were_before(fed: Fed) -> None:
    text = os.urandom(3 << 20)
    blobs = [gzip.compress(text[: 1 << 20]) + gzip.compress(text[1 << 20 :]), gzip.compress(b"short")]
    entries = {"entries": [[0], [1]], "gzip": True}
    fed.start(blobs, {"plain": entries, "wrapped": {**entries, "recordio": True}})
    assert fed.epoch("plain", 0) == text + b"short"
    assert records(fed.epoch("wrapped", 0)) == [text, b"short"]


@pytest.mark.parametrize("damage", [b"not gzip at all", gzip.compress(os.urandom(5000))[:-20], b"\x1f\x8b\x08\x00"])
def test_what_cannot_be_decompressed_ends_it_with_words(fed: Fed, damage: bytes) -> None:
    fed.start([gzip.compress(b"fine"), damage], {"train": {"entries": [[0], [1]], "gzip": True}})
    fed.epoch("train", 0)
    assert fed.words().startswith(
        "ClientError: Data download failed:s3://b/1 cannot be decompressed, although its channel has CompressionType "
        "Gzip: "
    )


def test_an_object_too_long_for_a_record_ends_it_with_words(fed: Fed) -> None:
    with (fed.plan / "blobs" / "0").open("wb") as file:
        file.truncate(feed.RECORD_LIMIT)
    fed.begin(1, {"train": {"entries": [[0]], "recordio": True}})
    fed.epoch("train", 0)
    assert fed.words() == (
        "ClientError: Data download failed:s3://b/0 has 536870912 bytes; a RecordIO record holds less than 536870912. "
        "Use smaller objects, or RecordWrapperType None."
    )


def test_what_the_job_puts_in_place_of_a_pipe_is_not_written_to(fed: Fed, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    fed.start([b"data"], {"train": {"entries": [[0]]}})
    (fed.pipes / "train_1").unlink()
    (fed.pipes / "train_1").symlink_to(victim)
    assert fed.epoch("train", 0) == b"data"
    assert "Channel train could not be streamed" in fed.words()
    assert victim.read_text() == "precious"


def test_a_file_in_place_of_a_pipe_ends_it_with_words(fed: Fed) -> None:
    fed.start([b"data"], {"train": {"entries": [[0]]}})
    (fed.pipes / "train_1").unlink()
    (fed.pipes / "train_1").write_text("mine")
    assert fed.epoch("train", 0) == b"data"
    assert fed.words().endswith("Channel train could not be streamed: train_1 is no pipe any more")
    assert (fed.pipes / "train_1").read_text() == "mine"

"""What every keeper of object bytes must do; bound to local files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from wildsage.objects.local import LocalObjects


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "objects"


@pytest.fixture
def objects(root: Path) -> Iterator[LocalObjects]:
    opened = LocalObjects(root)
    yield opened
    opened.close()


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def broken(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    raise ConnectionResetError("the client went away")


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def whole(objects: LocalObjects, name: str, size: int) -> bytes:
    return b"".join([chunk async for chunk in objects.read(name, 0, size)])


@pytest.mark.parametrize("size", [0, 1, 1000, 1024 * 1024, 5 * 1024 * 1024 + 17])
async def test_bytes_come_back_with_their_digests(objects: LocalObjects, size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(min(size, 65536))) * (size // 65536 + 1)
    data = data[:size]
    pieces = [data[start : start + 70_000] for start in range(0, size, 70_000)]
    blob = await objects.write("bucket", "a/key.txt", chunks(*pieces), ("CRC32", "SHA256"))
    assert blob.size == size
    assert blob.md5 == hashlib.md5(data, usedforsecurity=False).digest()
    assert blob.checksums == {
        "CRC32": zlib.crc32(data).to_bytes(4, "big"),
        "SHA256": hashlib.sha256(data).digest(),
    }
    assert await whole(objects, blob.name, size) == data
    assert objects.path(blob.name).read_bytes() == data


@pytest.mark.parametrize(("size", "waits"), [(0, False), (1000, False), (1001, True)])
async def test_small_bytes_are_left_to_the_index(objects: LocalObjects, root: Path, size: int, waits: bool) -> None:
    data = b"x" * size
    blob = await objects.write("bucket", "small", chunks(data), ("CRC32",), small=1000)
    assert blob.unsynced == (None if waits else data)
    assert blob.md5 == hashlib.md5(data, usedforsecurity=False).digest()
    assert await whole(objects, blob.name, size) == data
    assert await objects.unsettled() == [blob.name]
    await objects.keep(blob.name)
    await objects.sync()
    sealed = await objects.write("bucket", "small", chunks(data), (), b"k" * 32, small=1000)
    assert sealed.unsynced is None


async def test_files_that_are_lost_are_given_back(objects: LocalObjects, root: Path) -> None:
    buckets = ("gone", "bucket", "bucket")
    lost, short, fine = [await objects.write(bucket, "a", chunks(b"data"), small=9) for bucket in buckets]
    for blob in (lost, short, fine):
        await objects.keep(blob.name)
    objects.path(lost.name).unlink()
    objects.path(lost.name).parent.rmdir()
    objects.path(short.name).write_bytes(b"da")
    assert [objects.is_whole(blob.name, 4) for blob in (lost, short, fine)] == [False, False, True]
    reader = objects.path(short.name).open("rb")
    await objects.restore([(blob.name, b"data") for blob in (lost, short, fine)])
    assert reader.read() == b"da"  # by a rename: nobody sees half of it
    reader.close()
    assert [await whole(objects, blob.name, 4) for blob in (lost, short, fine)] == [b"data"] * 3
    assert len(stored_files(root)) == 3


async def test_many_readers_give_the_same_file_back_at_once(objects: LocalObjects, root: Path) -> None:
    blob = await objects.write("bucket", "a", chunks(b"data"), small=9)
    await objects.keep(blob.name)
    for _ in range(60):
        objects.path(blob.name).unlink()
        await asyncio.gather(*(objects.restore([(blob.name, b"data")]) for _ in range(12)))
        assert await whole(objects, blob.name, 4) == b"data"
    assert len(stored_files(root)) == 1


@pytest.mark.parametrize("label", ["../../etc/passwd", "a\0b", "é" * 512, "folder/", "a//b", ".", "..", "", "~"])
async def test_no_key_leads_out_of_the_folder(objects: LocalObjects, root: Path, label: str) -> None:
    blob = await objects.write("bucket", label, chunks(b"data"))
    assert objects.path(blob.name) == root / "bucket" / blob.name[7:9] / blob.name[10:]
    assert "/" not in blob.name[10:]
    assert len(blob.name) < 120
    assert objects.path(blob.name).read_bytes() == b"data"


async def test_a_person_finds_a_file_by_the_end_of_its_key(objects: LocalObjects, root: Path) -> None:
    await objects.write("bucket", "jobs/1/output/model.tar.gz", chunks(b"data"))
    assert [path.read_bytes() for path in (root / "bucket").rglob("*~model.tar.gz")] == [b"data"]


@pytest.mark.parametrize("name", ["../x", "bucket/../x", "bucket/aa/x", ".incoming/x"])
def test_a_name_that_is_no_blob_is_refused(objects: LocalObjects, name: str) -> None:
    with pytest.raises(ValueError, match="not a blob name"):
        objects.path(name)


async def test_a_bucket_name_that_is_no_folder_is_refused(objects: LocalObjects) -> None:
    with pytest.raises(ValueError, match="not a bucket name"):
        await objects.write("..", "key", chunks(b"data"))


@pytest.mark.parametrize("size", [10, 3 * 1024 * 1024])
async def test_a_body_that_breaks_leaves_nothing(objects: LocalObjects, root: Path, size: int) -> None:
    with pytest.raises(ConnectionResetError):
        await objects.write("bucket", "key", broken(bytes(size), bytes(size)))
    assert stored_files(root) == []


async def test_a_cancelled_write_leaves_nothing(objects: LocalObjects, root: Path) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield bytes(2 * 1024 * 1024)
        reached.set()
        await never.wait()

    task = asyncio.create_task(objects.write("bucket", "key", stuck()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stored_files(root) == []


async def test_what_is_neither_kept_nor_discarded_is_unsettled(objects: LocalObjects, root: Path) -> None:
    kept, discarded, interrupted = [await objects.write("bucket", str(n), chunks(b"data")) for n in range(3)]
    await objects.keep(kept.name)
    await objects.discard([discarded.name])
    assert await objects.unsettled() == [interrupted.name]
    reopened = LocalObjects(root)
    assert await reopened.unsettled() == [interrupted.name]
    reopened.close()
    await objects.discard([interrupted.name])
    assert stored_files(root) == [objects.path(kept.name)]


async def test_discarding_twice_is_no_error_and_an_open_reader_goes_on(objects: LocalObjects) -> None:
    blob = await objects.write("bucket", "key", chunks(bytes(3 * 1024 * 1024)))
    reader = objects.read(blob.name, 0, blob.size)
    first = await anext(reader)
    await objects.discard([blob.name])
    await objects.discard([blob.name])
    rest = [chunk async for chunk in reader]
    assert len(first) + sum(map(len, rest)) == blob.size


async def test_joined_and_duplicated_blobs_outlive_their_sources(objects: LocalObjects, root: Path) -> None:
    parts = [await objects.write("bucket", "key", chunks(str(n).encode() * 100_000)) for n in range(3)]
    names = [part.name for part in parts]
    joined = await objects.join("bucket", "key", names)
    single = await objects.join("bucket", "key", names[:1])
    copy = await objects.duplicate("other", "key", joined.name)
    await objects.discard(names)
    expected = b"0" * 100_000 + b"1" * 100_000 + b"2" * 100_000
    assert await whole(objects, joined.name, joined.size) == expected
    await objects.discard([joined.name])
    assert await whole(objects, copy.name, copy.size) == expected
    assert await whole(objects, single.name, single.size) == b"0" * 100_000
    assert set(stored_files(root / "other") + stored_files(root / "bucket")) == {
        objects.path(copy.name),
        objects.path(single.name),
    }


async def test_a_slice_is_read(objects: LocalObjects) -> None:
    blob = await objects.write("bucket", "key", chunks(b"0123456789"))
    assert [chunk async for chunk in objects.read(blob.name, 3, 4)] == [b"3456"]


async def test_an_empty_bucket_leaves_no_folder(objects: LocalObjects, root: Path) -> None:
    blob = await objects.write("bucket", "key", chunks(b"data"))
    await objects.forget("bucket")
    assert objects.path(blob.name).exists()
    await objects.discard([blob.name])
    await objects.forget("bucket")
    await objects.forget("bucket")
    assert not (root / "bucket").exists()
    again = await objects.write("bucket", "key", chunks(b"data"))
    assert objects.path(again.name).exists()


def test_a_full_disk_is_an_error_and_costs_nothing_that_was_there(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.contract.objects.full_disk", str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.returncode) == (["2", "True", "2"], 0), done.stderr

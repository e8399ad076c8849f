"""Small objects that had no files yet when the process that serves objects was killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.dataplane.plant import ACCOUNT

from wildsage.dataplane.objects.commits import Commits, Job
from wildsage.dataplane.objects.recovery import INCOMING, recover
from wildsage.objects import files
from wildsage.objects.local import LocalObjects
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.database import Database
from wildsage.store.directindex import DirectIndex
from wildsage.store.directwrites import DirectWrites, NewObject
from wildsage.store.unsynced import Unsynced

SECONDS = 60.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = await Database.open(tmp_path / "a.db")
    for name in ("old", "new"):
        await Buckets(made).create(Bucket(name, ACCOUNT, "us-east-1", 1.0))
    yield made
    await made.close()


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    (tmp_path / "objects").mkdir()
    return LocalObjects(tmp_path / "objects", INCOMING)


def small(index: DirectIndex, bucket: str) -> NewObject:
    place = index.bucket(bucket)
    assert place is not None
    return NewObject(place, "key", "", 1.0, 1, "e", files.new_name(bucket, "key"), "{}", b"x")


@asynccontextmanager
async def serving(tmp_path: Path, objects: LocalObjects) -> AsyncIterator[tuple[Commits, DirectIndex]]:
    """As the process does at its start, and at its end."""
    index, writes = DirectIndex(tmp_path / "a.db"), DirectWrites(tmp_path / "a.db")
    commits = Commits(writes, index, tmp_path / "objects", tmp_path / "objects" / INCOMING)
    if not await recover(writes, objects):
        commits.keep_older()
    yield commits, index
    async with asyncio.timeout(SECONDS):
        await commits.close()
    index.close()


async def kept(database: Database) -> list[str]:
    return [name for _, name, _ in await Unsynced(database).page(0)]


async def test_bytes_that_get_no_file_at_the_start_are_not_forgotten_with_newer_ones(
    database: Database, objects: LocalObjects, tmp_path: Path
) -> None:
    index, writes = DirectIndex(tmp_path / "a.db"), DirectWrites(tmp_path / "a.db")
    first = small(index, "old")
    with writes.turn:
        writes.begin()
        assert writes.put_all([first]) == ["null"]
        writes.commit()
    writes.close()
    in_the_way = tmp_path / "objects" / "old"
    in_the_way.write_bytes(b"")
    async with serving(tmp_path, objects) as (commits, found):
        second = small(found, "new")
        done = asyncio.Event()
        commits.submit(Job(second, lambda *_: done.set()))
        async with asyncio.timeout(SECONDS):
            await done.wait()
            while second.blob in await kept(database):  # noqa: ASYNC110 - the process tells nobody
                await asyncio.sleep(0.05)
    assert await kept(database) == [first.blob]
    in_the_way.unlink()
    async with serving(tmp_path, objects):
        assert (tmp_path / "objects" / first.blob).read_bytes() == b"x"
    index.close()
    objects.close()

"""Small objects that had no files yet when the process that serves objects was killed."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
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
    commits.forget_older(await recover(writes, objects))
    yield commits, index
    async with asyncio.timeout(SECONDS):
        await commits.close()
    index.close()


async def kept(database: Database) -> list[str]:
    unsynced = Unsynced(database)
    return [name async for page in unsynced.pages(await unsynced.newest()) for name, _ in page]


async def put(commits: Commits, news: Sequence[NewObject]) -> None:
    """All in one commit."""
    outcomes: list[Exception | None] = []
    done = asyncio.Event()

    def settle(_version: str, error: Exception | None) -> None:
        outcomes.append(error)
        if len(outcomes) == len(news):
            done.set()

    for new in news:
        commits.submit(Job(new, settle))
    async with asyncio.timeout(SECONDS):
        await done.wait()
    assert outcomes == [None] * len(news)


async def forgotten(database: Database, new: NewObject) -> None:
    async with asyncio.timeout(SECONDS):
        while new.blob in await kept(database):  # noqa: ASYNC110 - the process tells nobody
            await asyncio.sleep(0.05)


async def test_bytes_that_get_no_file_at_the_start_are_not_forgotten_with_newer_ones(
    database: Database, objects: LocalObjects, tmp_path: Path
) -> None:
    index, writes = DirectIndex(tmp_path / "a.db"), DirectWrites(tmp_path / "a.db")
    first = small(index, "old")
    with writes.turn:
        writes.begin()
        assert writes.put_all([first]) == ["null"]
        writes.keep([(first.blob, b"x")])
        writes.commit()
    writes.close()
    in_the_way = tmp_path / "objects" / "old"
    in_the_way.write_bytes(b"")
    async with serving(tmp_path, objects) as (commits, found):
        second = small(found, "new")
        await put(commits, [second])
        await forgotten(database, second)
    assert await kept(database) == [first.blob]
    in_the_way.unlink()
    async with serving(tmp_path, objects):
        assert (tmp_path / "objects" / first.blob).read_bytes() == b"x"
    index.close()
    objects.close()


async def test_bytes_of_what_was_replaced_before_it_had_a_file_stay_as_long_as_its_readers_may_want_them(
    database: Database, objects: LocalObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.commits._GRACE_SECONDS", 3_600.0)
    monkeypatch.setattr("wildsage.dataplane.objects.filing._CALM", -1)  # nothing is filed yet
    async with serving(tmp_path, objects) as (commits, index):
        replaced, beside = small(index, "old"), small(index, "new")
        await put(commits, [replaced, beside])
        newer, other = small(index, "old"), small(index, "new")
        other.key = "another"
        await put(commits, [newer, other])
        monkeypatch.setattr("wildsage.dataplane.objects.filing._OLDEST", 0.0)
        await forgotten(database, newer)
        assert set(await kept(database)) == {replaced.blob, beside.blob}
        assert await Unsynced(database).find(replaced.blob) == b"x"
        assert [objects.is_whole(new.blob, 1) for new in (replaced, beside, newer, other)] == [False, True, True, True]
    monkeypatch.setattr("wildsage.dataplane.objects.commits._GRACE_SECONDS", 0.1)
    async with serving(tmp_path, objects):
        await forgotten(database, replaced)
    assert await kept(database) == []
    objects.close()


async def test_packs_of_a_process_that_was_killed_are_filed_and_forgotten(
    database: Database, objects: LocalObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildsage.dataplane.objects.commits._GRACE_SECONDS", 0.1)
    index, writes, made = DirectIndex(tmp_path / "a.db"), DirectWrites(tmp_path / "a.db"), []
    for number in range(10):
        new = small(index, "old" if number % 2 else "new")
        new.key = f"key {number % 7}"  # some are replaced
        with writes.turn:
            writes.begin()
            assert writes.put_all([new]) == ["null"]
            writes.keep([(new.blob, b"x")])
            writes.commit()
        made.append(new)
    writes.close()
    named = index.named([new.blob for new in made])
    index.close()
    async with serving(tmp_path, objects):
        assert {new.blob for new in made if objects.is_whole(new.blob, 1)} == named
        for new in made:
            await forgotten(database, new)
    objects.close()


async def test_bytes_stay_until_their_files_are_on_the_disk(
    database: Database, objects: LocalObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, looked = files.sync_all, asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail(_root: Path) -> None:
        loop.call_soon_threadsafe(looked.set)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "sync_all", fail)
    async with serving(tmp_path, objects) as (commits, index):
        new = small(index, "new")
        await put(commits, [new])
        async with asyncio.timeout(SECONDS):
            await looked.wait()
        later = small(index, "old")
        await put(commits, [later])
        assert set(await kept(database)) == {new.blob, later.blob}
        monkeypatch.setattr(files, "sync_all", sync)
        await forgotten(database, new)
        await forgotten(database, later)
    objects.close()

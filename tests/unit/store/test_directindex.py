"""The statements that are text do what those of SQLAlchemy do: the same writes leave the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from wildsage.core import trees
from wildsage.core.errors import ApiError
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.codec import dumps
from wildsage.store.database import Database
from wildsage.store.directindex import BucketRow, DirectIndex
from wildsage.store.directwrites import BucketChanged, DirectWrites, NewObject
from wildsage.store.objectindex import NULL_VERSION, ObjectIndex, ObjectVersion, Removal
from wildsage.store.objecttables import buckets, garbage, objects
from wildsage.store.unsynced import Unsynced

DOCUMENT = {"Headers": {"ContentType": "text/plain"}, "Metadata": {}, "Tags": {}, "Checksums": {"CRC32": "AAAA"}}


def refuse(_current: object) -> None:
    raise ApiError("PreconditionFailed", "no", 412)


def refuse_more(current: object) -> None:
    if current is not None:
        refuse(current)


async def rows(database: Database) -> list[Any]:
    """Every row of the index."""
    return await database.read(
        lambda connection: [
            [tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key.columns))]
            for table in (buckets, objects, garbage)
        ]
    )


async def place_of(database: Database, name: str) -> BucketRow:
    found = await database.read(
        lambda connection: connection.execute(buckets.select().where(buckets.c.name == name)).one()
    )
    return BucketRow(found.name, found.account, found.region, found.versioning, found.settings)


# What happens to one of two keys: a write, a refused write, a delete, or a change of the bucket's versioning.
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "refused", "delete", "Enabled", "Suspended"]), st.sampled_from(["a", "ü/b"])),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_both_ways_leave_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("both")
    by_core, by_text = await Database.open(root / "core.db"), await Database.open(root / "text.db")
    writes = DirectWrites(root / "text.db")
    for database in (by_core, by_text):
        await Buckets(database).create(Bucket("bucket", "000000000000", "us-east-1", 1.0))
    for number, (step, key) in enumerate(steps):
        modified, version = 1_700_000_000.25 + number, f"version-{number}"
        if step in ("put", "refused"):
            check = refuse if step == "refused" else None
            blob = f"bucket/00/{number}"
            new = ObjectVersion(
                "bucket", key, version, modified, 3, "etag", blob, document={**DOCUMENT, "Number": number}
            )
            told = await _put_by_core(by_core, new, check)
            assert await _put_by_text(by_text, writes, new, check) == told
        for database in (by_core, by_text):
            if step == "delete":
                await ObjectIndex(database).remove("bucket", [Removal(key, None, f"marker-{number}")], modified)
            elif step in ("Enabled", "Suspended"):
                await Buckets(database).edit("bucket", _set_versioning(step))
    assert await rows(by_core) == await rows(by_text)
    index = DirectIndex(root / "text.db")
    for key in ("a", "ü/b"):
        wanted = (await ObjectIndex(by_text).find("bucket", key)).object
        held = index.find("bucket", key)
        assert (held is None) is (wanted is None)
        if held is not None and wanted is not None:
            names = ("version", "marker", "size", "etag", "modified", "blob", "document")
            assert [getattr(held, name) for name in names] == [getattr(wanted, name) for name in names]
    index.close()
    writes.close()
    await by_core.close()
    await by_text.close()


async def _put_by_core(database: Database, new: ObjectVersion, check: Any) -> str:
    try:
        return (await ObjectIndex(database).put(new, check)).version
    except ApiError as error:
        return error.code


async def _put_by_text(database: Database, writes: DirectWrites, new: ObjectVersion, check: Any) -> str:
    place = await place_of(database, "bucket")
    with writes.turn:
        writes.begin()
        try:
            (outcome,) = writes.put_all([_as_new(place, new, check)])
            return outcome.code if isinstance(outcome, ApiError) else str(outcome)
        finally:
            writes.commit()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    writes=st.lists(
        st.tuples(st.sampled_from(["plain", "versioned"]), st.sampled_from(["a", "ü/b", "c"]), st.booleans()),
        max_size=12,
    )
)
async def test_many_writes_at_once_leave_what_they_leave_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, str, bool]]
) -> None:
    root = tmp_path_factory.mktemp("many")
    by_core, by_text = await Database.open(root / "core.db"), await Database.open(root / "text.db")
    for database in (by_core, by_text):
        for name in ("plain", "versioned"):
            await Buckets(database).create(Bucket(name, "000000000000", "us-east-1", 1.0))
        await Buckets(database).edit("versioned", _set_versioning("Enabled"))
    news, told = [], []
    for number, (bucket, key, allowed) in enumerate(writes):
        new = ObjectVersion(bucket, key, f"v{number}", 1.0, 3, f"{number}", f"{bucket}/00/{number}", document=DOCUMENT)
        check = None if allowed else refuse_more
        told.append(await _put_by_core(by_core, new, check))
        news.append(_as_new(await place_of(by_text, bucket), new, check))
    direct = DirectWrites(root / "text.db")
    with direct.turn:
        direct.begin()
        outcomes = direct.put_all(news)
        direct.commit()
    direct.close()
    assert [each.code if isinstance(each, ApiError) else each for each in outcomes] == told
    assert await rows(by_core) == await rows(by_text)
    await by_core.close()
    await by_text.close()


def _as_new(place: BucketRow, new: ObjectVersion, check: Any) -> NewObject:
    blob = str(new.blob)
    return NewObject(
        place, new.key, new.version, new.modified, new.size, new.etag, blob, dumps(new.document), check=check
    )


def _set_versioning(value: str) -> Callable[[Bucket], Bucket]:
    return lambda bucket: replace(bucket, versioning=value)


async def test_a_bucket_that_changed_is_told(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "a.db")
    await Buckets(database).create(Bucket("bucket", "000000000000", "us-east-1", 1.0))
    old = await place_of(database, "bucket")
    await Buckets(database).set("bucket", "Policy", "{}")
    writes = DirectWrites(tmp_path / "a.db")
    with writes.turn:
        writes.begin()
        for place in (old, old._replace(name="none")):
            (outcome,) = writes.put_all([NewObject(place, "a", "", 1.0, 0, "etag", "bucket/00/1", "{}")])
            assert isinstance(outcome, BucketChanged)
        writes.undo()
    writes.close()
    await database.close()


async def test_bytes_are_kept_until_they_are_forgotten(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "a.db")
    await Buckets(database).create(Bucket("bucket", "000000000000", "us-east-1", 1.0))
    place, writes = await place_of(database, "bucket"), DirectWrites(tmp_path / "a.db")
    unsynced, blobs = Unsynced(database), [(f"b{number}~ü", b"%d" % number * number) for number in range(3)]
    with writes.turn:
        writes.begin()
        news = [NewObject(place, name, NULL_VERSION, 1.0, 1, "etag", name, "{}") for name, _ in blobs]
        assert writes.put_all(news) == [NULL_VERSION] * 3
        first, second = writes.keep(blobs[:2]), writes.keep(blobs[2:])
        writes.commit()
    assert (await unsynced.newest()).pack == second > first
    assert await kept(unsynced) == blobs
    assert [await unsynced.find(name) for name, _ in blobs] == [data for _, data in blobs]
    with writes.turn:
        writes.begin()
        assert writes.packs(first, 9) == [(second, blobs[2:])]
        writes.forget([first])
        assert writes.is_referenced("b1~ü")
        assert not writes.is_referenced("b9~ü")
        writes.commit()
    assert await kept(unsynced) == blobs[2:]
    assert await unsynced.find("b1~ü") is None
    await unsynced.forget(await unsynced.newest())
    assert await unsynced.newest() == (0, 0)
    with writes.turn:
        writes.begin()
        assert writes.keep(blobs[:1]) > second  # a number that was used is not used again
        writes.undo()
    writes.close()
    await database.close()


async def kept(unsynced: Unsynced) -> list[tuple[str, bytes]]:
    return [blob async for page in unsynced.pages(await unsynced.newest()) for blob in page]


async def test_bytes_of_the_first_layout_are_found(tmp_path: Path) -> None:
    """It had a row for each; some of them may be left by a process that was killed."""
    database, blobs = (
        await Database.open(tmp_path / "a.db"),
        [(f"b{number}", b"%d" % number) for number in range(1_200)],
    )

    def leave(connection: Connection) -> None:
        connection.exec_driver_sql("DROP TABLE s3_packs")
        connection.exec_driver_sql("PRAGMA user_version = 1")
        connection.exec_driver_sql("INSERT INTO s3_unsynced (name, bytes) VALUES (?, ?)", blobs)

    await database.write(leave)
    await database.close()
    database = await Database.open(tmp_path / "a.db")
    unsynced = Unsynced(database)
    assert await kept(unsynced) == blobs
    assert await unsynced.find("b7") == b"7"
    await unsynced.forget(await unsynced.newest())
    assert await kept(unsynced) == []
    await database.close()


async def test_a_database_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "data" / "a.db"
    index = DirectIndex(path)
    for name in ("first", "second"):
        (tmp_path / "data").mkdir()
        database = await Database.open(path)
        await Buckets(database).create(Bucket(name, "000000000000", "us-east-1", 1.0))
        index.refresh()
        assert index.bucket(name) is not None
        assert index.bucket("other") is None
        await database.close()
        trees.remove(tmp_path / "data")
    index.close()

"""Bytes of small blobs whose files may not be on the disk yet.

Those of the objects process are in ``s3_packs``, control's in ``s3_unsynced``, where versions before 2 of the layout
had both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, func, select

from wildsage.store.database import Database
from wildsage.store.objecttables import packs, unsynced
from wildsage.store.packs import unpack

_PAGE = 500
_PACKS = 4  # each has at most 8 MiB


class Newest(NamedTuple):
    """Numbers of the last entries, 0 where there are none."""

    single: int
    pack: int


class Unsynced:
    """What a power failure may have taken from the files, as the database has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> Newest:
        statement = select(_last(unsynced.c.number), _last(packs.c.number))
        return await self._database.read(lambda connection: Newest(*connection.execute(statement).one()))

    async def pages(self, newest: Newest) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Names and bytes of all blobs up to ``newest``, as many at a time as fit into 32 MiB."""
        number = 0
        while number < newest.single and (page := await self._rows(_after(unsynced, number, _PAGE))):
            yield [(row.name, row.bytes) for row in page]
            number = page[-1].number
        number = 0
        while number < newest.pack and (page := await self._rows(_after(packs, number, _PACKS))):
            yield [blob for row in page for blob in unpack(row.contents, row.bytes)]
            number = page[-1].number

    async def find(self, name: str) -> bytes | None:
        """The bytes of a blob; None once they are forgotten."""
        single = select(unsynced.c.name, unsynced.c.bytes).where(unsynced.c.name == name)
        # From the newest on: what is looked for before it has a file was written some seconds ago.
        packed = select(packs).where(func.instr(packs.c.contents, name) > 0).order_by(packs.c.number.desc()).limit(1)
        for row in await self._rows(single):
            return bytes(row.bytes)
        for row in await self._rows(packed):
            return dict(unpack(row.contents, row.bytes)).get(name)
        return None

    async def forget_all(self, names: Collection[str]) -> None:
        """The files of these, which are in no pack, are on the disk."""
        statement = delete(unsynced).where(unsynced.c.name.in_(list(names)))
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def forget(self, newest: Newest) -> None:
        """The files of all up to ``newest`` are on the disk."""

        def work(connection: Connection) -> None:
            connection.execute(delete(unsynced).where(unsynced.c.number <= newest.single))
            connection.execute(delete(packs).where(packs.c.number <= newest.pack))

        await self._database.write(work)

    async def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        return await self._database.read(lambda connection: connection.execute(statement).all())


def _last(number: Any) -> Any:
    return select(func.coalesce(func.max(number), 0)).scalar_subquery()


def _after(table: Any, number: int, limit: int) -> Select[Any]:
    return select(table).where(table.c.number > number).order_by(table.c.number).limit(limit)

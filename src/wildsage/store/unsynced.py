"""Bytes of small blobs whose files may not be on the disk yet (``directwrites`` and ``objectindex`` put them here)."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, func, select

from wildsage.store.database import Database
from wildsage.store.objecttables import unsynced

_PAGE = 500


class Unsynced:
    """What a power failure may have taken from the files, as the database has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> int:
        """The number of the last entry, 0 if there is none."""
        statement = select(func.coalesce(func.max(unsynced.c.number), 0))
        return await self._database.read(lambda connection: int(connection.execute(statement).scalar_one()))

    async def page(self, after: int) -> list[tuple[int, str, bytes]]:
        """Number, blob name and bytes of the entries past ``after``, in order; some hundred at a time."""
        statement = select(unsynced).where(unsynced.c.number > after).order_by(unsynced.c.number).limit(_PAGE)
        return await self._database.read(
            lambda connection: [(row.number, row.name, row.bytes) for row in connection.execute(statement)]
        )

    async def find(self, name: str) -> bytes | None:
        """The bytes of a blob; None once they are forgotten."""
        statement = select(unsynced.c.bytes).where(unsynced.c.name == name)
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def forget_all(self, names: Collection[str]) -> None:
        """The files of these are on the disk."""
        statement = delete(unsynced).where(unsynced.c.name.in_(list(names)))
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def forget(self, number: int) -> None:
        """The files of all entries up to ``number`` are on the disk."""
        statement = delete(unsynced).where(unsynced.c.number <= number)
        await self._database.write(lambda connection: connection.execute(statement) and None)

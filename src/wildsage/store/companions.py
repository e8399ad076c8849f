"""Resources that stand beside those of another kind, under the same names, and change in one transaction with them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from wildsage.store.database import Database, Write
from wildsage.store.resourcetable import AT, Key, Resource, at, new_row, read, resources

_OF: Final = select(resources).where(
    resources.c.kind == bindparam("kind"),
    resources.c.account == bindparam("account"),
    resources.c.region == bindparam("region"),
    resources.c.name.in_(bindparam("names", expanding=True)),
)
_INSERT: Final = insert(resources)
_REMOVE: Final = delete(resources).where(AT)


class Companions:
    """Those of ``kind``."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind

    async def of(self, account: str, region: str, names: Collection[str]) -> dict[str, Resource]:
        """Name → what stands beside it; names without one are left out."""
        given = {"kind": self._kind, "account": account, "region": region, "names": list(names)}

        def work(connection: Connection) -> dict[str, Resource]:
            return {row.name: read(row) for row in connection.execute(_OF, given)}

        return await self._database.read(work) if names else {}


def creation(resource: Resource) -> Write:
    """Adds it; IntegrityError if there is one of its key."""
    row = new_row(resource)

    def work(connection: Connection) -> None:
        connection.execute(_INSERT, row)

    return work


def removal(key: Key) -> Write:
    """Takes it away, if it is there."""
    where = at(key)

    def work(connection: Connection) -> None:
        connection.execute(_REMOVE, where)

    return work

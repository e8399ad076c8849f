"""Resources: a create document plus a little status, and the leases controllers take on them.

One row holds what was asked (``spec``, ``wish``), what is (``status``, ``phase``, ``state``) and when a controller
should look next (``due``).  Operations change the wish with :meth:`Resources.edit`, which moves ``generation``;
controllers claim due rows with a lease, work outside any transaction, and :meth:`Resources.apply` what they found,
which is refused if the lease was lost or the wish has moved meanwhile.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, bindparam, delete, func, insert, or_, select, update

from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database, Write, together
from wildsage.store.resourcepages import Page, Query, page_of
from wildsage.store.resourcetable import AT, BY_PHASE, WITH_WORK, Key, Resource, at, new_row, read, resources, values

__all__ = ["AlreadyExists", "Key", "Missing", "Page", "Query", "Resource", "Resources", "alone", "unless_there"]

log = logging.getLogger(__name__)


class AlreadyExists(Exception):
    """A resource of that key is there; ``existing`` is it."""

    def __init__(self, existing: Resource) -> None:
        super().__init__(existing.key.name)
        self.existing = existing


class Missing(Exception):
    """No resource of that key."""


# Statements are made once: making one takes longer than running it.
_LEASED: Final = and_(AT, resources.c.lease == bindparam("held"))
_UNCHANGED: Final = and_(_LEASED, resources.c.generation == bindparam("seen"))
_FREE: Final = {"lease": None, "lease_until": None}
_FIND: Final = select(resources).where(AT)
_FIND_TAGS: Final = select(resources.c.tags).where(AT)
_INSERT: Final = insert(resources)
_UPDATE: Final = update(resources).where(AT)
_UPDATE_LEASED: Final = update(resources).where(_LEASED)
_UPDATE_UNCHANGED: Final = update(resources).where(_UNCHANGED)
_REMOVE: Final = delete(resources).where(AT)
_REMOVE_UNCHANGED: Final = delete(resources).where(_UNCHANGED)
_OF_KINDS: Final = resources.c.kind.in_(bindparam("kinds", expanding=True))
_HAS_WORK: Final = resources.c.due.is_not(None)


def _with_work(*columns: Any) -> Select[Any]:
    """SQLite would rather look at every resource of a kind, also those whose work was done long ago."""
    return select(*columns).where(_HAS_WORK).with_hint(resources, f"INDEXED BY {WITH_WORK}", "sqlite")


_DUE: Final = (
    _with_work(resources.c.id)
    .where(
        resources.c.due <= bindparam("now"),
        _OF_KINDS,
        or_(resources.c.lease.is_(None), resources.c.lease_until < bindparam("now")),
    )
    .order_by(resources.c.due)
    .limit(bindparam("most"))
)
_CLAIM: Final = (
    update(resources)
    .where(resources.c.id.in_(_DUE))
    .values(lease=bindparam("new_lease"), lease_until=bindparam("until"))
    .returning(*resources.c)
)
_NEXT_DUE: Final = _with_work(func.min(resources.c.due)).where(_OF_KINDS, resources.c.lease.is_(None))
# Whoever holds a lease has work to do.
_RELEASE: Final = update(resources).where(
    resources.c.id.in_(_with_work(resources.c.id).where(resources.c.lease.is_not(None)))
)
_STATES_WITH: Final = (
    select(resources.c.state).where(resources.c.state.contains(bindparam("word"))).order_by(resources.c.id)
)
_ANY: Final = (
    select(resources.c.id)
    .with_hint(resources, f"INDEXED BY {BY_PHASE}", "sqlite")
    .where(
        resources.c.kind == bindparam("kind"),
        resources.c.account == bindparam("account"),
        resources.c.region == bindparam("region"),
        resources.c.phase == bindparam("phase"),
    )
    .limit(1)
)
_ALIKE: Final = select(resources).where(
    resources.c.kind == bindparam("at_kind"),
    resources.c.account == bindparam("at_account"),
    resources.c.region == bindparam("at_region"),
    resources.c.name != bindparam("at_name"),
    func.lower(resources.c.name) == bindparam("folded"),
)
_ALL: Final = select(resources).where(resources.c.kind == bindparam("kind")).order_by(resources.c.id)
_UIDS: Final = select(resources.c.uid).where(resources.c.kind == bindparam("kind"))
_ALL_WITH_WORK: Final = _with_work(resources).where(resources.c.kind == bindparam("kind")).order_by(resources.c.id)


def _mine(claimed: Resource) -> dict[str, Any]:
    """The parameters of ``_LEASED``."""
    return {**at(claimed.key), "held": claimed.lease}


def unless_there(resource: Resource) -> Write:
    """Adds it if there is none of its key."""
    row = new_row(resource)

    def write(connection: Connection) -> None:
        if connection.execute(_FIND, at(resource.key)).first() is None:
            connection.execute(_INSERT, row)

    return write


def alone(key: Key) -> Write:
    """Raises AlreadyExists if there is another whose name is the same but for upper and lower case."""
    given = {**at(key), "folded": key.name.lower()}

    def write(connection: Connection) -> None:
        row = connection.execute(_ALIKE, given).first()
        if row is not None:
            raise AlreadyExists(read(row))

    return write


class Resources:
    """The table of resources. Its indexes hold what List filters by: rows that are left out are not read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, resource: Resource, beside: Iterable[Write] = ()) -> Resource:
        """Adds it, and does what is ``beside`` in the same transaction; raises AlreadyExists."""

        def work(connection: Connection) -> Resource:
            row = connection.execute(_FIND, at(resource.key)).first()
            if row is not None:
                raise AlreadyExists(read(row))
            connection.execute(_INSERT, new_row(resource))
            together(connection, beside)
            return resource

        return await self._database.write(work)

    async def get(self, key: Key) -> Resource | None:
        row = await self._database.look(_FIND, at(key))
        return None if row is None else read(row)

    async def edit(self, key: Key, change: Callable[[Resource], Iterable[Write] | None]) -> Resource:
        """Reads, changes and writes in one transaction; raises Missing, or whatever ``change`` raises (nothing kept).

        The writes that ``change`` returns are part of it.

        ``generation`` moves, so that a controller step under way cannot overwrite what was just asked.
        """

        def work(connection: Connection) -> Resource:
            row = connection.execute(_FIND, at(key)).first()
            if row is None:
                raise Missing(key)
            resource = read(row)
            beside = list(change(resource) or ())
            resource = replace(resource, generation=resource.generation + 1)
            connection.execute(_UPDATE, {**at(key), **values(resource)})
            together(connection, beside)
            return resource

        return await self._database.write(work)

    async def tags(self, key: Key) -> dict[str, str]:
        """Of the resource of that name, or of one whose name differs in case alone, which ARNs do not tell."""
        row = await self._database.look(_FIND_TAGS, at(key))
        if row is None:
            given = {**at(key), "folded": key.name.lower()}
            row = await self._database.read(lambda connection: connection.execute(_ALIKE, given).first())
        return {} if row is None else loads(row.tags)

    async def retag(self, key: Key, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Changes the tags alone and returns them; no controller reads them, so steps under way go on.

        Raises Missing, or whatever ``change`` raises.
        """

        def work(connection: Connection) -> dict[str, str]:
            row = connection.execute(_FIND_TAGS, at(key)).first()
            if row is None:
                raise Missing(key)
            tags = change(loads(row.tags))
            connection.execute(_UPDATE, {**at(key), "tags": dumps(tags)})
            return tags

        return await self._database.write(work)

    async def remove(self, key: Key, beside: Iterable[Write] = ()) -> None:
        """Takes the row away, and does what is ``beside`` in the same transaction; raises Missing."""

        def work(connection: Connection) -> None:
            if connection.execute(_REMOVE, at(key)).rowcount == 0:
                raise Missing(key)
            together(connection, beside)

        await self._database.write(work)

    async def all_of(self, kind: str, due: bool = False) -> list[Resource]:
        """Every resource of a kind, of all accounts and regions, oldest first; with ``due`` those with work to do."""
        statement, given = _ALL_WITH_WORK if due else _ALL, {"kind": kind}
        return await self._database.read(lambda connection: [read(row) for row in connection.execute(statement, given)])

    async def readable(self, kind: str) -> list[Resource]:
        """As ``all_of``, less the rows that nobody can read, which are told in the log: the others' work goes on."""
        return await self._database.read(
            lambda connection: list(_readable_of(connection.execute(_ALL, {"kind": kind})))
        )

    async def uids(self, kind: str) -> list[str]:
        """Of every resource of a kind, whether its row can be read or not."""
        return await self._database.read(lambda connection: list(connection.execute(_UIDS, {"kind": kind}).scalars()))

    async def states_with(self, member: str) -> list[Document]:
        """The state of every resource in whose state some document has that member; the rest is not decoded."""
        given = {"word": f'"{member}":'}
        return await self._database.read(
            lambda connection: [loads(row.state) for row in connection.execute(_STATES_WITH, given)]
        )

    async def any(self, kind: str, account: str, region: str, phase: str) -> bool:
        """Whether there is one in that phase."""
        given = {"kind": kind, "account": account, "region": region, "phase": phase}
        return await self._database.look(_ANY, given) is not None

    async def page(self, query: Query) -> Page:
        """One page in the asked order; ties go by age."""
        return await self._database.read(lambda connection: page_of(connection, query))

    async def claim(self, kinds: Collection[str], now: float, until: float, limit: int) -> list[Resource]:
        """Leases up to ``limit`` due rows of ``kinds`` in one statement; a lease that ran out is up for grabs.

        A row that nobody can read stays leased and is told in the log: the others go on, and it is looked at again once
        its lease has run out.
        """
        given = {"kinds": list(kinds), "now": now, "until": until, "most": limit, "new_lease": str(uuid.uuid4())}
        return await self._database.write(lambda connection: list(_readable_of(connection.execute(_CLAIM, given))))

    async def renew(self, claimed: Resource, until: float) -> bool:
        """Keeps a lease alive; False if it was lost."""
        given = {**_mine(claimed), "lease_until": until}
        return await self._database.write(lambda connection: connection.execute(_UPDATE_LEASED, given).rowcount == 1)

    async def apply(
        self, claimed: Resource, found: Resource, now: float, keep: bool = False, beside: Iterable[Write] = ()
    ) -> bool:
        """Writes what a step found and gives the lease back, unless it shall be kept for the next step.

        What is ``beside`` is done in the same transaction. False, with nothing but the lease given back, if the wish
        moved since the claim: the row is then due at once.
        """
        mine = _mine(claimed)
        observed = {
            "phase": found.phase,
            "status": dumps(found.status),
            "state": dumps(found.state),
            "modified": found.modified,
            "due": found.due,
            **({} if keep else _FREE),
        }

        def work(connection: Connection) -> bool:
            unchanged = {**mine, "seen": claimed.generation}
            applied = connection.execute(_UPDATE_UNCHANGED, {**unchanged, **observed}).rowcount == 1
            if applied:
                together(connection, beside)
            else:
                connection.execute(_UPDATE_LEASED, {**mine, "due": now, **_FREE})
            return applied

        return await self._database.write(work)

    async def apply_removal(self, claimed: Resource, now: float, beside: Iterable[Write] = ()) -> bool:
        """As ``apply``, for a step that ends with the resource gone."""
        mine = _mine(claimed)

        def work(connection: Connection) -> bool:
            if connection.execute(_REMOVE_UNCHANGED, {**mine, "seen": claimed.generation}).rowcount:
                together(connection, beside)
                return True
            connection.execute(_UPDATE_LEASED, {**mine, "due": now, **_FREE})
            return False

        return await self._database.write(work)

    async def next_due(self, kinds: Collection[str]) -> float | None:
        """The earliest ``due`` of the kinds among rows without a lease."""
        given = {"kinds": list(kinds)}
        return await self._database.read(lambda connection: connection.execute(_NEXT_DUE, given).scalar())

    async def counts(self) -> dict[str, int]:
        """How many rows there are of each kind, over all accounts and regions."""
        statement = select(resources.c.kind, func.count()).group_by(resources.c.kind).order_by(resources.c.kind)
        return await self._database.read(lambda connection: {row[0]: row[1] for row in connection.execute(statement)})

    async def release_all(self) -> None:
        """Gives every lease back: for the one control process of a data directory, at its start."""
        await self._database.write(lambda connection: connection.execute(_RELEASE, _FREE) and None)


def _readable_of(rows: Iterable[Row[Any]]) -> Iterator[Resource]:
    for row in rows:
        try:
            found = read(row)
        except Exception:  # whatever it is: a damaged row may break any of its reader's expectations
            log.exception("the row of %s %s cannot be read; nothing is done for it", row.kind, row.name)
        else:
            yield found

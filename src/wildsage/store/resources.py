"""Resources: a create document plus a little status, and the leases controllers take on them.

One row holds what was asked (``spec``, ``wish``), what is (``status``, ``phase``, ``state``) and when a controller
should look next (``due``).  Operations change the wish with :meth:`Resources.edit`, which moves ``generation``;
controllers claim due rows with a lease, work outside any transaction, and :meth:`Resources.apply` what they found,
which is refused if the lease was lost or the wish has moved meanwhile.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    Row,
    Table,
    Text,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from wildsage.store.codec import Document, dumps, loads
from wildsage.store.database import Database, Write, metadata, together

PRESENT = "present"

resources = Table(
    "resources",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("wish", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("modified", Float, nullable=False),
    Column("due", Float),
    Column("lease", Text),
    Column("lease_until", Float),
    UniqueConstraint("kind", "account", "region", "name"),
    Index("resources_due", "due"),
    Index("resources_created", "kind", "account", "region", "created", "name", "modified"),
    Index("resources_phase", "kind", "account", "region", "phase", "created"),
)


class AlreadyExists(Exception):
    """A resource of that key is there; ``existing`` is it."""

    def __init__(self, existing: Resource) -> None:
        super().__init__(existing.key.name)
        self.existing = existing


class Missing(Exception):
    """No resource of that key."""


@dataclass(frozen=True, slots=True)
class Key:
    """What makes a resource unique. Global services (iam) use an empty region."""

    kind: str
    account: str
    region: str
    name: str


@dataclass(slots=True)
class Resource:
    """One resource. Times are epoch seconds.

    ``spec``: the create document in API spelling. ``wish``: ``present`` or what was asked since (``stop``, ``delete``).
    ``phase``: the public status word. ``status``: further public fields. ``state``: private facts (runtime handles).
    ``due``: when its controller should look next; None if there is nothing to do.
    """

    key: Key
    spec: Document
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    wish: str = PRESENT
    phase: str = ""
    status: Document = field(default_factory=dict)
    state: Document = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    generation: int = 1
    created: float = 0.0
    modified: float = 0.0
    due: float | None = None
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A page of one kind.

    ``sort``: ``name``, ``created``, ``modified`` or ``phase``. ``after``: where the last page ended.
    """

    kind: str
    account: str
    region: str
    limit: int = 100
    sort: str = "created"
    descending: bool = True
    name_contains: str = ""
    name_prefix: str = ""
    phases: Collection[str] = ()
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    after: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """``following``: pass as ``Query.after`` for the next page; None on the last."""

    items: list[Resource]
    following: list[Any] | None


def _at(key: Key) -> Any:
    return and_(
        resources.c.kind == key.kind,
        resources.c.account == key.account,
        resources.c.region == key.region,
        resources.c.name == key.name,
    )


def _read(row: Row[Any]) -> Resource:
    return Resource(
        key=Key(row.kind, row.account, row.region, row.name),
        spec=loads(row.spec),
        uid=row.uid,
        wish=row.wish,
        phase=row.phase,
        status=loads(row.status),
        state=loads(row.state),
        tags=loads(row.tags),
        generation=row.generation,
        created=row.created,
        modified=row.modified,
        due=row.due,
        lease=row.lease,
    )


def _values(resource: Resource) -> dict[str, Any]:
    return {
        "uid": resource.uid,
        "wish": resource.wish,
        "phase": resource.phase,
        "spec": dumps(resource.spec),
        "status": dumps(resource.status),
        "state": dumps(resource.state),
        "tags": dumps(resource.tags),
        "generation": resource.generation,
        "created": resource.created,
        "modified": resource.modified,
        "due": resource.due,
    }


def _conditions(query: Query) -> list[Any]:
    columns = resources.c
    found: list[Any] = [
        columns.kind == query.kind,
        columns.account == query.account,
        columns.region == query.region,
    ]
    if query.name_contains:
        found.append(func.instr(func.lower(columns.name), query.name_contains.lower()) > 0)
    if query.name_prefix:
        found.append(func.substr(columns.name, 1, len(query.name_prefix)) == query.name_prefix)
    if query.phases:
        found.append(columns.phase.in_(list(query.phases)))
    if query.created_after is not None:
        found.append(columns.created > query.created_after)
    if query.created_before is not None:
        found.append(columns.created < query.created_before)
    if query.modified_after is not None:
        found.append(columns.modified > query.modified_after)
    if query.modified_before is not None:
        found.append(columns.modified < query.modified_before)
    return found


class Resources:
    """The table of resources. Its indexes hold what List filters by: rows that are left out are not read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, resource: Resource, beside: Iterable[Write] = ()) -> Resource:
        """Adds it, and does what is ``beside`` in the same transaction; raises AlreadyExists."""

        def work(connection: Connection) -> Resource:
            row = connection.execute(select(resources).where(_at(resource.key))).first()
            if row is not None:
                raise AlreadyExists(_read(row))
            key = resource.key
            connection.execute(
                insert(resources).values(
                    kind=key.kind, account=key.account, region=key.region, name=key.name, **_values(resource)
                )
            )
            together(connection, beside)
            return resource

        return await self._database.write(work)

    async def get(self, key: Key) -> Resource | None:
        def work(connection: Connection) -> Resource | None:
            row = connection.execute(select(resources).where(_at(key))).first()
            return None if row is None else _read(row)

        return await self._database.read(work)

    async def edit(self, key: Key, change: Callable[[Resource], Iterable[Write] | None]) -> Resource:
        """Reads, changes and writes in one transaction; raises Missing, or whatever ``change`` raises (nothing kept).

        The writes that ``change`` returns are part of it.

        ``generation`` moves, so that a controller step under way cannot overwrite what was just asked.
        """

        def work(connection: Connection) -> Resource:
            row = connection.execute(select(resources).where(_at(key))).first()
            if row is None:
                raise Missing(key)
            resource = _read(row)
            beside = list(change(resource) or ())
            resource = replace(resource, generation=resource.generation + 1)
            connection.execute(update(resources).where(_at(key)).values(**_values(resource)))
            together(connection, beside)
            return resource

        return await self._database.write(work)

    async def retag(self, key: Key, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Changes the tags alone and returns them; no controller reads them, so steps under way go on.

        Raises Missing, or whatever ``change`` raises.
        """

        def work(connection: Connection) -> dict[str, str]:
            row = connection.execute(select(resources.c.tags).where(_at(key))).first()
            if row is None:
                raise Missing(key)
            tags = change(loads(row.tags))
            connection.execute(update(resources).where(_at(key)).values(tags=dumps(tags)))
            return tags

        return await self._database.write(work)

    async def remove(self, key: Key, beside: Iterable[Write] = ()) -> None:
        """Takes the row away, and does what is ``beside`` in the same transaction; raises Missing."""

        def work(connection: Connection) -> None:
            if connection.execute(delete(resources).where(_at(key))).rowcount == 0:
                raise Missing(key)
            together(connection, beside)

        await self._database.write(work)

    async def all_of(self, kind: str, due: bool = False) -> list[Resource]:
        """Every resource of a kind, of all accounts and regions, oldest first; with ``due`` those with work to do."""
        wanted = (resources.c.kind == kind, resources.c.due.is_not(None)) if due else (resources.c.kind == kind,)
        statement = select(resources).where(*wanted).order_by(resources.c.id)
        return await self._database.read(lambda connection: [_read(row) for row in connection.execute(statement)])

    async def page(self, query: Query) -> Page:
        """One page in the asked order; ties go by age."""
        column = {
            "name": resources.c.name,
            "created": resources.c.created,
            "modified": resources.c.modified,
            "phase": resources.c.phase,
        }[query.sort]
        conditions = _conditions(query)
        identity = resources.c.id
        if query.after is not None:
            value, number = query.after
            beyond = (column < value, identity < number) if query.descending else (column > value, identity > number)
            conditions.append(or_(beyond[0], and_(column == value, beyond[1])))
        order = (column.desc(), identity.desc()) if query.descending else (column.asc(), identity.asc())
        statement = select(resources).where(*conditions).order_by(*order).limit(query.limit + 1)

        def work(connection: Connection) -> Page:
            rows = connection.execute(statement).all()
            items = [_read(row) for row in rows[: query.limit]]
            if len(rows) <= query.limit:
                return Page(items, None)
            last = rows[query.limit - 1]
            return Page(items, [getattr(last, column.name), last.id])

        return await self._database.read(work)

    async def claim(self, kinds: Collection[str], now: float, until: float, limit: int) -> list[Resource]:
        """Leases up to ``limit`` due rows of ``kinds`` in one statement; a lease that ran out is up for grabs."""
        lease = str(uuid.uuid4())
        free = or_(resources.c.lease.is_(None), resources.c.lease_until < now)
        chosen = (
            select(resources.c.id)
            .where(resources.c.due <= now, resources.c.kind.in_(list(kinds)), free)
            .order_by(resources.c.due)
            .limit(limit)
        )
        statement = (
            update(resources)
            .where(resources.c.id.in_(chosen))
            .values(lease=lease, lease_until=until)
            .returning(*resources.c)
        )
        return await self._database.write(lambda connection: [_read(row) for row in connection.execute(statement)])

    async def renew(self, claimed: Resource, until: float) -> bool:
        """Keeps a lease alive; False if it was lost."""
        held = update(resources).where(_at(claimed.key), resources.c.lease == claimed.lease).values(lease_until=until)
        return await self._database.write(lambda connection: connection.execute(held).rowcount == 1)

    async def apply(self, claimed: Resource, found: Resource, now: float, keep: bool = False) -> bool:
        """Writes what a step found and gives the lease back, unless it shall be kept for the next step.

        False, with nothing but the lease given back, if the wish moved since the claim: the row is then due at once.
        """
        mine = and_(_at(claimed.key), resources.c.lease == claimed.lease)
        free = {"lease": None, "lease_until": None}
        unchanged = and_(mine, resources.c.generation == claimed.generation)
        observed = {
            "phase": found.phase,
            "status": dumps(found.status),
            "state": dumps(found.state),
            "modified": found.modified,
            "due": found.due,
            **({} if keep else free),
        }

        def work(connection: Connection) -> bool:
            applied = connection.execute(update(resources).where(unchanged).values(**observed)).rowcount == 1
            if not applied:
                connection.execute(update(resources).where(mine).values(due=now, **free))
            return applied

        return await self._database.write(work)

    async def apply_removal(self, claimed: Resource, now: float) -> bool:
        """As ``apply``, for a step that ends with the resource gone."""
        mine = and_(_at(claimed.key), resources.c.lease == claimed.lease)

        def work(connection: Connection) -> bool:
            unchanged = and_(mine, resources.c.generation == claimed.generation)
            if connection.execute(delete(resources).where(unchanged)).rowcount:
                return True
            connection.execute(update(resources).where(mine).values(due=now, lease=None, lease_until=None))
            return False

        return await self._database.write(work)

    async def next_due(self, kinds: Collection[str]) -> float | None:
        """The earliest ``due`` of the kinds among rows without a lease."""
        statement = select(func.min(resources.c.due)).where(
            resources.c.kind.in_(list(kinds)), resources.c.lease.is_(None)
        )
        return await self._database.read(lambda connection: connection.execute(statement).scalar())

    async def counts(self) -> dict[str, int]:
        """How many rows there are of each kind, over all accounts and regions."""
        statement = select(resources.c.kind, func.count()).group_by(resources.c.kind).order_by(resources.c.kind)
        return await self._database.read(lambda connection: {row[0]: row[1] for row in connection.execute(statement)})

    async def release_all(self) -> None:
        """Gives every lease back: for the one control process of a data directory, at its start."""
        await self._database.write(
            lambda connection: connection.execute(update(resources).values(lease=None, lease_until=None)) and None
        )

"""The table of resources: its columns and indexes, and how a row is a :class:`Resource`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Column, Float, Index, Integer, Table, Text, UniqueConstraint, and_, bindparam, text

from wildsage.store.codec import Document, dumps, duplicate, loads
from wildsage.store.database import metadata

PRESENT = "present"

# Each index of a page's order holds all that List filters by, so that rows which are left out are never read.
BY_CREATED, BY_PHASE, BY_NAME = "resources_by_created", "resources_by_phase", "resources_by_name"
# Only of rows that a controller shall look at, which are few, however long the history is.
WITH_WORK = "resources_with_work"

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
    Index(WITH_WORK, "due", sqlite_where=text("due IS NOT NULL")),
    Index(BY_CREATED, "kind", "account", "region", "created", "id", "name", "modified", "phase"),
    Index(BY_PHASE, "kind", "account", "region", "phase", "created", "id", "name", "modified"),
    Index(BY_NAME, "kind", "account", "region", "name", "id", "created", "modified", "phase"),
)


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

    def copy(self) -> Resource:
        """One that shares nothing that can be changed with this one."""
        return replace(
            self,
            spec=duplicate(self.spec),
            status=duplicate(self.status),
            state=duplicate(self.state),
            tags=dict(self.tags),
        )


AT: Final = and_(
    resources.c.kind == bindparam("at_kind"),
    resources.c.account == bindparam("at_account"),
    resources.c.region == bindparam("at_region"),
    resources.c.name == bindparam("at_name"),
)
"""The row of a key, whose parameters are ``at``."""


def at(key: Key) -> dict[str, Any]:
    """The parameters of ``AT``."""
    return {"at_kind": key.kind, "at_account": key.account, "at_region": key.region, "at_name": key.name}


def new_row(resource: Resource) -> dict[str, Any]:
    """All columns of a resource that nobody has a lease of."""
    key = resource.key
    return {"kind": key.kind, "account": key.account, "region": key.region, "name": key.name, **values(resource)}


def read(row: Any) -> Resource:
    """What a row holds, whose columns are attributes."""
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


def values(resource: Resource) -> dict[str, Any]:
    """The columns of a resource but those of its key and of its lease."""
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

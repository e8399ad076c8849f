"""Pages of resources: filtered, ordered, and each as quick as the first.

The numbers of a page's rows are found in one index alone; only then are the rows read.  A page begins where its token
says by a search in that index, so the last costs what the first does.  SQLite is told which index: it knows nothing of
how many rows a filter leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, select, tuple_

from wildsage.store.resourcetable import BY_CREATED, BY_NAME, BY_PHASE, Resource, read, resources

_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class Query:
    """A page of one kind.

    ``sort``: ``name``, ``created``, ``modified`` or ``phase``. ``after``: where the last page ended. ``companion``: a
    kind and a phase; only those that have a resource of that kind, in that phase, beside them under the same name.
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
    companion: tuple[str, str] | None = None
    after: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """``following``: pass as ``Query.after`` for the next page; None on the last."""

    items: list[Resource]
    following: list[Any] | None


def page_of(connection: Connection, query: Query) -> Page:
    """One page in the asked order; ties go by age."""
    order = _ORDERS[query.sort]
    given = _parameters(query)
    if query.after is not None:
        given |= {f"after_{name}": value for name, value in zip(order, query.after, strict=True)}
    index = BY_PHASE if query.sort != "name" and len(query.phases) == 1 else _INDEXES[query.sort]
    rows = connection.execute(_statement(query.sort, query.descending, index, frozenset(given)), given).all()
    items = [read(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return Page(items, None)
    last = rows[query.limit - 1]
    return Page(items, [getattr(last, name) for name in order])


# What a page is ordered by; the last makes every place distinct.
_ORDERS: Final = {
    "name": ("name", "id"),
    "created": ("created", "id"),
    "modified": ("modified", "id"),
    "phase": ("phase", "created", "id"),
}
_INDEXES: Final = {"name": BY_NAME, "created": BY_CREATED, "modified": BY_CREATED, "phase": BY_PHASE}


def _parameters(query: Query) -> dict[str, Any]:
    """The values of a query's filters, by the name of the condition (``_conditions``) that takes them."""
    given: dict[str, Any] = {
        "kind": query.kind,
        "account": query.account,
        "region": query.region,
        "limit": query.limit + 1,
    }
    if query.name_contains:
        escaped = query.name_contains.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        given["name_contains"] = f"%{escaped}%"
    if query.name_prefix:
        given |= {"name_from": query.name_prefix}
        below = _beyond(query.name_prefix)
        if below is not None:
            given["name_below"] = below
    if len(query.phases) == 1:
        (given["phase"],) = query.phases
    elif query.phases:
        given["phases"] = list(query.phases)
    if query.companion is not None:
        given["companion"], given["companion_phase"] = query.companion
    times = {name: getattr(query, name) for name in _TIMES}
    return given | {name: value for name, value in times.items() if value is not None}


def _beyond(prefix: str) -> str | None:
    """The least text greater than every text that begins with ``prefix``; None if there is none."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


_TIMES: Final = ("created_after", "created_before", "modified_after", "modified_before")


_beside: Final = resources.alias("beside")
_COMPANIONS: Final = select(_beside.c.name).where(
    _beside.c.kind == bindparam("companion"),
    _beside.c.account == bindparam("account"),
    _beside.c.region == bindparam("region"),
    _beside.c.phase == bindparam("companion_phase"),
)


def _conditions(given: Collection[str]) -> list[ColumnElement[bool]]:
    """The filters whose parameters are ``given``."""
    of = resources.c
    all_of_them: dict[str, ColumnElement[bool]] = {
        "kind": of.kind == bindparam("kind"),
        "account": of.account == bindparam("account"),
        "region": of.region == bindparam("region"),
        "phase": of.phase == bindparam("phase"),
        "phases": of.phase.in_(bindparam("phases", expanding=True)),
        "name_contains": of.name.ilike(bindparam("name_contains"), escape="\\"),
        "name_from": of.name >= bindparam("name_from"),
        "name_below": of.name < bindparam("name_below"),
        "companion": of.name.in_(_COMPANIONS),
        "created_after": of.created > bindparam("created_after"),
        "created_before": of.created < bindparam("created_before"),
        "modified_after": of.modified > bindparam("modified_after"),
        "modified_before": of.modified < bindparam("modified_before"),
    }
    return [condition for name, condition in all_of_them.items() if name in given]


@lru_cache(maxsize=256)
def _statement(sort: str, descending: bool, index: str, given: frozenset[str]) -> Select[Any]:
    """Building one takes longer than most pages do."""
    # With one phase its column orders nothing, and SQLite would sort what an index has in order.
    columns = [resources.c[name] for name in _ORDERS[sort] if name != "phase" or "phase" not in given]
    conditions = _conditions(given)
    if "after_id" in given:
        place: list[BindParameter[Any]] = [bindparam(f"after_{column.name}", type_=column.type) for column in columns]
        here, there = tuple_(*columns), tuple_(*place)
        conditions.append(here < there if descending else here > there)
    order = [column.desc() if descending else column.asc() for column in columns]
    numbers = select(resources.c.id).where(*conditions).order_by(*order).limit(bindparam("limit"))
    numbers = numbers.with_hint(resources, f"INDEXED BY {index}", "sqlite")
    found = resources.alias("found")
    return (
        select(found)
        .where(found.c.id.in_(numbers))
        .order_by(*(found.c[column.name].desc() if descending else found.c[column.name].asc() for column in columns))
    )

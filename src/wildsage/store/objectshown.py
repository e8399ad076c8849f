"""What listings show of current objects, read a thousand at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, true

from wildsage.store.codec import Document, loads
from wildsage.store.objectindex import decode_key
from wildsage.store.objecttables import objects

_USES_INDEX: Final = "INDEXED BY s3_objects_visible"


class Shown(NamedTuple):
    """A current object; members as in ``ObjectVersion``."""

    key: str
    size: int
    etag: str
    modified: float
    document: Document


SHOWN: Final = (objects.c.key, objects.c.size, objects.c.etag, objects.c.modified, objects.c.document)


def read_shown(row: Sequence[Any]) -> Shown:
    """A row of ``SHOWN``."""
    key, size, etag, modified, document = row
    return Shown(decode_key(key), size, etag, modified, loads(document))


def visible(statement: Select[Any], table: Any = objects) -> Select[Any]:
    """``statement`` for the current objects of the parameter ``bucket``.

    SQLite would walk the table, whose rows of noncurrent versions and delete markers may be many between two objects.
    """
    chosen = statement.where(table.c.bucket == bindparam("bucket"), table.c.visible == true())
    return chosen.with_hint(table, _USES_INDEX, "sqlite")

"""Single rows, read at once by whoever asks, without another thread.

A read on a thread of its own costs 200 µs of processor time, most of it for waking threads and for what SQLAlchemy does
about a transaction; a row that an index finds costs 20 here, and holds up the event loop no longer than a call of a few
functions does. Lists, and whatever else may take long, belong to the reader threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Dialect, Select

_BUSY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Look:
    """A statement as text, the names of its parameters in their order, and those of its columns.

    ``own``: parameters that have a value of the statement's own, such as the numbers in it.
    """

    text: str
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    own: Mapping[str, Any]


class Looks:
    """Of one SQLite file; for one thread."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self._dialect = dialect
        self._connection = sqlite3.connect(path, _BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._known: dict[Select[Any], _Look] = {}

    def first(self, statement: Select[Any], given: Mapping[str, Any]) -> Any:
        """The first row, its columns as attributes, as of the last commit; None if there is none.

        ``statement`` is made once and kept by its module, and names its parameters with ``bindparam``.
        """
        look = self._known.get(statement) or self._learn(statement)
        # All of it is fetched: a statement that is left half-way keeps what it saw, and the log of changes growing.
        known = {**look.own, **given} if look.own else given
        values = [known[name] for name in look.parameters]
        rows = self._connection.execute(look.text, values).fetchall()
        return SimpleNamespace(**dict(zip(look.columns, rows[0], strict=True))) if rows else None

    def close(self) -> None:
        self._connection.close()

    def _learn(self, statement: Select[Any]) -> _Look:
        compiled: Any = statement.compile(dialect=self._dialect)
        own = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
        columns = tuple(column.name for column in statement.selected_columns)
        look = self._known[statement] = _Look(str(compiled), tuple(compiled.positiontup), columns, own)
        return look

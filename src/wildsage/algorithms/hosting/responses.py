"""Predictions as the body of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import UnsupportedContent
from ..formats import contenttype, recordio, records
from ..formats.contenttype import CSV, JSON, JSONLINES, RECORDIO
from ..formats.tables import Array

WRITABLE = (JSON, JSONLINES, RECORDIO, CSV)

Columns = Mapping[str, Array]
"""Field → its values, one row a record: numbers, or vectors of numbers. Integers are written without a fraction."""


def chosen(accept: str, default: str = JSON) -> contenttype.ContentType:
    """The first type of an Accept header that can be written. Raises UnsupportedContent."""
    for each in (accept or "*/*").split(","):
        asked = contenttype.parse(each)
        if asked.media in ("*/*", "application/*"):
            asked = contenttype.ContentType(contenttype.parse(default).media, asked.parameters)
        if asked.media in WRITABLE:
            return asked
    raise UnsupportedContent(406, f"Accept type {accept} is not supported. Please use one of {', '.join(WRITABLE)}.")


def written(columns: Columns, key: str, media: str) -> bytes:
    """``key``: the member of the JSON document that holds the records."""
    lists = {name: values.tolist() for name, values in columns.items()}
    rows: list[dict[str, Any]] = [dict(zip(lists, row)) for row in zip(*lists.values())]  # noqa: B905 - Python 3.9
    if media == JSON:
        return json.dumps({key: rows}).encode()
    if media == JSONLINES:
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if media == RECORDIO:
        return b"".join(recordio.frame(records.encode({}, row)) for row in rows)
    return "".join(",".join(map(str, _flat(row))) + "\n" for row in rows).encode()


def _flat(row: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for value in row.values():
        found += value if isinstance(value, list) else [value]
    return found

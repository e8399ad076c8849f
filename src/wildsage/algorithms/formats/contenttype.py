"""Content types and their parameters (``text/csv; label_size=1``)."""

from __future__ import annotations

from typing import NamedTuple

CSV = "text/csv"
JSON = "application/json"
JSONLINES = "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"
PARQUET = "application/x-parquet"
LIBSVM = ("text/libsvm", "text/x-libsvm")


class ContentType(NamedTuple):
    """``media``: in lower case, empty if there was none; ``parameters``: names in lower case."""

    media: str
    parameters: dict[str, str]


def parse(text: str) -> ContentType:
    media, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return ContentType(
        media.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    )

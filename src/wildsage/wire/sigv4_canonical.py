"""Paths and queries in the one form that both sides sign, however they were written."""

from __future__ import annotations

import functools
import re
from urllib.parse import quote, unquote_to_bytes

_PLAIN = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch


@functools.lru_cache(maxsize=4096)
def normalized_path(path: str) -> str:
    """The canonical path of all services but S3: dot segments resolved, what is encoded encoded once more."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    joined = "/".join(kept)
    tail = "/" if kept and path.endswith("/") else ""
    return quote(f"/{joined}{tail}", safe="/~")


def s3_path(path: str) -> str:
    """S3's canonical path: the key as it is, encoded once."""
    return path if _PLAIN(path) else _encoded_path(path)


@functools.lru_cache(maxsize=4096)
def _encoded_path(path: str) -> str:
    return quote(unquote_to_bytes(path.encode("latin-1", "replace")), safe="/~")


def canonical_query(query: str) -> str:
    """Names and values encoded and sorted."""
    pairs = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((_encoded(name), _encoded(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


@functools.lru_cache(maxsize=4096)
def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.encode("latin-1", "replace")), safe="~")

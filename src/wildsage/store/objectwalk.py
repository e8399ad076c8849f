"""What a listing asks for and gets.

Keys are walked in the order of their UTF-8 bytes.  With a delimiter, all keys that share the text up to its next
occurrence count as one entry, a common prefix, and the walk jumps past them by one index seek.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from wildsage.store.objectindex import encode_key

T = TypeVar("T")
LAST: Final = b"\xff"
"""Past every key: UTF-8 has no such byte."""


def beyond(prefix: bytes) -> bytes:
    """The least key after all keys that begin with ``prefix``, which is not empty; no byte of it is 0xFF."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


@dataclass(frozen=True, slots=True)
class Walk:
    """What to list: ``limit`` entries of keys that begin with ``prefix``.

    ``after``: begin past this key, or past everything under it if it is a common prefix. ``mark``: begin within
    ``after``'s key instead, past this position (the rank of a version, the id of an upload).
    """

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    mark: Any = None
    limit: int = 1000

    def start(self) -> bytes:
        """The least key to look at, but for ``mark``."""
        after, prefix = encode_key(self.after), encode_key(self.prefix)
        if not after or after < prefix:
            return prefix
        return beyond(after) if self.common_prefix(after) == after else after + b"\0"

    def top(self) -> bytes:
        """The least key past those to look at."""
        return beyond(encode_key(self.prefix)) if self.prefix else LAST

    def common_prefix(self, key: bytes) -> bytes | None:
        """The common prefix that a key counts as; None if it counts for itself."""
        delimiter, prefix = encode_key(self.delimiter), encode_key(self.prefix)
        if not delimiter or not key.startswith(prefix):
            return None
        index = key.find(delimiter, len(prefix))
        return None if index < 0 else key[: index + len(delimiter)]


class Entry(NamedTuple, Generic[T]):
    """A row, or a common prefix (``item`` None). ``name``: the key or the prefix."""

    name: str
    item: T | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``truncated``: there is more; go on after the last entry."""

    entries: list[Entry[T]]
    truncated: bool

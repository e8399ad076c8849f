"""What ends the work on an object, and the words for it."""

from __future__ import annotations

import re

from wildsage.core.transforms import Item

_WORDS = 300
_TAG = re.compile(r"<[^<>]*>")


class Fault(Exception):
    """An object that cannot be transformed; the text goes into the job's FailureReason.

    ``log``: more of it for the data log. ``last``: the other objects would fare no better.
    """

    def __init__(self, words: str, log: str = "", last: bool = False) -> None:
        super().__init__(words)
        self.log = log
        self.last = last


def quoted(data: bytes, most: int = _WORDS) -> str:
    """The first of some bytes, in one line."""
    text = data[: 4 * most].decode("utf-8", "replace").strip()
    line = "\\n".join(text.splitlines())
    return line if len(line) <= most else f"{line[:most]}…"


def said(body: bytes) -> str:
    """The first words of a container's answer; of a page of HTML the text."""
    if body.lstrip()[:1] == b"<":
        text = " ".join(_TAG.sub(" ", body[: 8 * _WORDS].decode("utf-8", "replace")).split())
        return quoted(text.encode(), _WORDS // 2)
    return quoted(body)


def of_record(item: Item, number: int, first: bytes, words: str) -> Fault:
    """One record that cannot be sent or processed."""
    return Fault(f'ClientError: {item}: record {number}: {words}. It begins "{quoted(first, 100)}".')


def too_large(item: Item, number: int, first: bytes, limit_mib: int, whole: bool) -> Fault:
    """A record beyond MaxPayloadInMB."""
    if whole:
        return Fault(
            f"ClientError: {item} has more than the {limit_mib} MB that MaxPayloadInMB allows for one request. Set "
            "SplitType, so that it is sent in several requests, or raise MaxPayloadInMB."
        )
    words = f"it has more than the {limit_mib} MB that MaxPayloadInMB allows for one request"
    return of_record(item, number, first, words)

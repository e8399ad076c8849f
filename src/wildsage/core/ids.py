"""Identifiers in AWS's formats."""

from __future__ import annotations

import secrets
import uuid

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def request_id() -> str:
    """A request id: a lower-case UUID."""
    return str(uuid.uuid4())


def unique_id(prefix: str) -> str:
    """An IAM unique id: ``AKIA``, ``ASIA``, ``AROA``, ``AIDA`` … and 16 characters (IAM User Guide, "Unique ids")."""
    return prefix + "".join(secrets.choice(_UPPER) for _ in range(16))


def object_version() -> str:
    """The id of an S3 object's version: opaque, 32 characters."""
    number = secrets.randbits(192)  # one question to the kernel, not one for each letter: every PutObject asks
    letters = []
    for _ in range(32):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def secret_key() -> str:
    """A secret access key: 40 characters."""
    return "".join(secrets.choice(_SECRET) for _ in range(40))

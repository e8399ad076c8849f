"""A blob as text: how one process tells another of bytes that it has brought to the disk."""

from __future__ import annotations

import json

from wildsage.objects.base import Blob
from wildsage.objects.files import checked


def text_of(blob: Blob) -> str:
    """Its name, size and checksums, in one line."""
    digests = {algorithm: digest.hex() for algorithm, digest in blob.checksums.items()}
    return json.dumps({"name": blob.name, "size": blob.size, "checksums": digests})


def blob_of(text: str, folder: str) -> Blob:
    """What ``text_of`` was given. Raises ValueError unless it is one of ``folder``."""
    found = json.loads(text)
    if not checked(found["name"]).startswith(f"{folder}/"):
        raise ValueError(f"not a blob of {folder}: {found['name']}")
    digests = {algorithm: bytes.fromhex(digest) for algorithm, digest in found["checksums"].items()}
    return Blob(found["name"], found["size"], checksums=digests)

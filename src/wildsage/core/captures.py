"""Captured requests and answers on their way to S3: what routers leave in ``DataDir.captured`` and control takes away.

A file belongs to one variant, one hour and one place in S3. Its first line says where it goes (:class:`Origin`), every
other is one record as it will lie in S3. It is named ``<milliseconds of its first record>-<uuid>`` and

    .open    while a router appends to it and holds an exclusive lock on it (``flock``); without the lock its router
             is gone, and its last line may be torn
    .ready   once nothing is added any more

The object's key follows from name and first line, so that a file that is shipped again after a crash is no second one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

OPEN, READY = ".open", ".ready"
MOST_SPOOLED = 1 << 30
"""Bytes of all files together beyond which routers capture nothing more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose records a file has, and where they go.

    ``destination``: ``s3://bucket/prefix``. ``role``: the ARN of whom it is written as. ``kms_key``: empty for none.
    """

    account: str
    region: str
    endpoint: str
    variant: str
    destination: str
    role: str
    kms_key: str = ""

    def to_line(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


def origin_of(line: bytes) -> Origin:
    """The inverse of ``to_line``; raises ValueError for anything else."""
    try:
        return Origin(**json.loads(line))
    except TypeError as error:
        raise ValueError(f"not the first line of captured records: {error}") from error


def path_of(origin: Origin, stem: str) -> str:
    """The object's key below the destination, of a file of that name without suffix.

    ``{endpoint}/{variant}/yyyy/mm/dd/hh/filename.jsonl`` (Developer Guide, "Capture data from real-time endpoint").
    Raises ValueError for a name that no router gives.
    """
    milliseconds, _, unique = stem.partition("-")
    at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    name = f"{at:%M-%S}-{int(milliseconds) % 1000:03d}-{unique}.jsonl"
    return f"{origin.endpoint}/{origin.variant}/{at:%Y/%m/%d/%H}/{name}"

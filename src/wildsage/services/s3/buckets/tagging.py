"""Tags of buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wildsage.core.errors import ApiError
from wildsage.kit.reservedtags import is_reserved

_MOST: Final = 50


def check(tags: Sequence[dict[str, Any]]) -> None:
    """Raises InvalidTag (User Guide, "Using cost allocation S3 bucket tags")."""
    keys = [tag["Key"] for tag in tags]
    if len(keys) > _MOST or len(set(keys)) < len(keys):
        raise ApiError("InvalidTag", f"A bucket takes at most {_MOST} tags, each key once", 400)
    if any(is_reserved(key) for key in keys):
        raise ApiError("InvalidTag", "System tags cannot be added/updated by requester", 400)

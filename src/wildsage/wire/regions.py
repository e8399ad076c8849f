"""AWS's regions and domains, and the roots of trust that botocore ships."""

from __future__ import annotations

import json
from collections.abc import Mapping

from wildsage.wire.shipped import BOTOCORE

ROOTS_OF_TRUST = BOTOCORE / "cacert.pem"


def regions() -> Mapping[str, list[str]]:
    """The regions below each domain (``amazonaws.com``, ``amazonaws.com.cn``, …)."""
    partitions = json.loads((BOTOCORE / "data" / "partitions.json").read_bytes())["partitions"]
    found: dict[str, list[str]] = {}
    for partition in partitions:
        names = [name for name in partition["regions"] if not name.endswith("-global")]
        found.setdefault(partition["outputs"]["dnsSuffix"], []).extend(names)
    return found

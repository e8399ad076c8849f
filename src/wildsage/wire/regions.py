"""AWS's regions and domains, and the roots of trust that botocore ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import botocore  # the package's location only

_PACKAGE = Path(botocore.__file__).parent
ROOTS_OF_TRUST = _PACKAGE / "cacert.pem"


def regions() -> Mapping[str, list[str]]:
    """The regions below each domain (``amazonaws.com``, ``amazonaws.com.cn``, …)."""
    partitions = json.loads((_PACKAGE / "data" / "partitions.json").read_bytes())["partitions"]
    found: dict[str, list[str]] = {}
    for partition in partitions:
        names = [name for name in partition["regions"] if not name.endswith("-global")]
        found.setdefault(partition["outputs"]["dnsSuffix"], []).extend(names)
    return found

"""What manifests say. Pure.

Sources: API reference, S3DataSource; Developer Guide, "Augmented Manifest Files for Training Jobs".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance.places import Location, parse

Part = Location | str
_REFERENCE = "-ref"
_SHOWN = 100


def _fault(uri: str, words: str) -> ClientFault:
    return ClientFault(f"ClientError: Data download failed:The manifest {uri} {words}")


def manifest(text: bytes, uri: str) -> tuple[Location, list[str]]:
    """The prefix of a ManifestFile, and what is appended to it for each object; raises ClientFault.

    ``[{"prefix": "s3://bucket/some/prefix/"}, "path/one", "path/two"]``
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _fault(uri, f"is not JSON: {error}.") from error
    if not isinstance(found, list) or not found or not isinstance(found[0], dict) or set(found[0]) != {"prefix"}:
        raise _fault(uri, 'must be a JSON array that begins with {"prefix": "s3://bucket/prefix"}.')
    try:
        prefix = parse(found[0]["prefix"])
    except (AttributeError, ValueError):
        raise _fault(uri, f"has a prefix that is no S3 URI: {_shown(found[0]['prefix'])}.") from None
    for each in found[1:]:
        if not isinstance(each, str) or not each:
            raise _fault(uri, f"has an entry that is no part of a key: {_shown(each)}. Each must be a text.")
    if not found[1:]:
        raise _fault(uri, "names no objects.")
    return prefix, found[1:]


def record(line: bytes, attributes: Sequence[str], uri: str, number: int) -> list[Part]:
    """What one line of an AugmentedManifestFile gives, in the order of ``attributes``; raises ClientFault.

    An attribute whose name ends with ``-ref`` gives the object that its value names, any other its value as text: a
    string as it is, all else as JSON. ``number``: of the line, from 1.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _fault(uri, f"is not in JSON lines format: line {number}: {error}.") from error
    if not isinstance(found, dict):
        raise _fault(uri, f"is not in JSON lines format: line {number} is no JSON object.")
    return [_part(found, name, uri, number) for name in attributes]


def _part(found: dict[str, Any], name: str, uri: str, number: int) -> Part:
    if name not in found:
        raise _fault(uri, f"has no attribute {name} in line {number}. AttributeNames must be in every line.")
    value = found[name]
    if not name.endswith(_REFERENCE):
        return value if isinstance(value, str) else json.dumps(value)
    try:
        place = parse(value)
    except (AttributeError, ValueError):
        place = None
    if place is None or not place.key:
        raise _fault(uri, f"has {_shown(value)} as {name} in line {number}; that must be s3://bucket/key.")
    return place


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

"""Bucket policies: what a document must be, and whether it makes its bucket public."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import Use, compile_policy
from wildsage.core.errors import ApiError

# A statement for everyone is not public if one of these must have a fixed value
# (User Guide, "Blocking public access to your Amazon S3 storage", The meaning of "public").
_MOST: Final = 20 * 1024  # bytes; User Guide, "Adding a bucket policy"
_NARROWING: Final = frozenset(
    {"aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:sourceip"}
    | {"aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:principalarn", "aws:userid"}
    | {"s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn", "s3:dataaccesspointaccount"}
)


def check(document: str) -> None:
    """Raises MalformedPolicy, or PolicyTooLarge."""
    if len("".join(document.split())) > _MOST:
        raise ApiError("PolicyTooLarge", "Policy exceeds the maximum allowed document size.", 400)
    try:
        compile_policy(document, Use.RESOURCE)
    except PolicyError as error:
        raise ApiError("MalformedPolicy", f"Policies must be valid JSON and this one is not: {error}", 400) from error
    if any(each["Effect"] == "Allow" and "NotPrincipal" in each for each in _statements(document)):
        raise ApiError("MalformedPolicy", "Allow with NotPrincipal is not allowed.", 400)


def is_public(document: str) -> bool:
    """Whether a statement allows something to everyone."""
    return any(
        each["Effect"] == "Allow" and _for_everyone(each) and not _narrowed(each.get("Condition") or {})
        for each in _statements(document)
    )


def _statements(document: str) -> list[dict[str, Any]]:
    found = json.loads(document)["Statement"]
    return found if isinstance(found, list) else [found]


def _for_everyone(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    named = principal.get("AWS", ()) if isinstance(principal, Mapping) else principal
    return named == "*" or "*" in (named if isinstance(named, list) else [named])


def _narrowed(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    for operator, keys in conditions.items():
        if "Not" in operator:
            continue
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            fixed = not any("*" in str(each) or str(each).endswith("/0") for each in values)
            if key.lower() in _NARROWING and fixed:
                return True
    return False

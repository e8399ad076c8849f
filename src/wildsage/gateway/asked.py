"""A call as authorization sees it, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wildsage.store.codec import Document


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that must be allowed. ``context``: keys that only this need has, in lower case.

    ``version``: which version of the resource, where S3 has several. ``part``: refused, only what it
    is for is left out of the call.
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: str | None = None
    part: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """The call: ``service`` by botocore's name, where and for which account."""

    service: str
    operation: str
    region: str
    account: str
    params: Document

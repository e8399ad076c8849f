"""The condition keys that a request tells of itself (IAM User Guide, "AWS global condition context keys"). Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

_ANY = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:referer",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceip",
        "aws:useragent",
    }
)
# Of InvokeEndpoint alone (Service Authorization Reference, Amazon SageMaker).
_TARGETS = frozenset({"sagemaker:targetcontainerhostname", "sagemaker:targetmodel"})
INVOKING_KEYS = _ANY | _TARGETS
"""What a router knows of an invocation; whoever compiles permissions for routers must not go by more."""


def moment(region: str, now: float) -> dict[str, tuple[str, ...]]:
    """What holds of every call, one of a service included. ``now``: epoch seconds."""
    return {
        "aws:currenttime": (datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now)),),
        "aws:requestedregion": (region,),
    }


def transport(scheme: str, peer: str, header: Callable[[str], str | None]) -> dict[str, tuple[str, ...]]:
    """What holds of a request over the wire. ``peer``: IP and port; ``header``: its value, by a name in lower case."""
    found: dict[str, tuple[str, ...]] = {"aws:securetransport": (str(scheme == "https").lower(),)}
    if peer:
        found["aws:sourceip"] = (peer.rpartition(":")[0].strip("[]"),)
    for key, name in (("aws:useragent", "user-agent"), ("aws:referer", "referer")):
        if value := header(name):
            found[key] = (value,)
    return found

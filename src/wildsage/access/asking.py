"""The condition keys that a request, its session and its resource tell of themselves. Pure.

Source: IAM User Guide, "AWS global condition context keys"; control and routers know the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from wildsage.core.sessions import Session

_RESOURCE_TAGS = ("aws:resourcetag/", "sagemaker:resourcetag/")


def moment(region: str, now: float) -> dict[str, tuple[str, ...]]:
    """What holds of every call, one of a service included. ``now``: epoch seconds.

    No service calls another with credentials that it was handed by a caller (``aws:ViaAWSService``): those that act for
    somebody have a role for it.
    """
    return {
        "aws:currenttime": (_date(now),),
        "aws:epochtime": (str(int(now)),),
        "aws:requestedregion": (region,),
        "aws:viaawsservice": ("false",),
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


def of_session(session: Session) -> dict[str, tuple[str, ...]]:
    """What temporary credentials have of their own; their tags win over those of the role. None were got with MFA."""
    return {
        "aws:userid": (session.caller.user_id,),
        "aws:tokenissuetime": (_date(session.issued),),
        "aws:multifactorauthpresent": ("false",),
        **{f"aws:principaltag/{name.lower()}": (value,) for name, value in session.tags.items()},
    }


def of_resource(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The keys of what SageMaker tags (Service Authorization Reference, "Condition keys for Amazon SageMaker")."""
    return {f"{key}{name.lower()}": (value,) for name, value in tags.items() for key in _RESOURCE_TAGS}


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

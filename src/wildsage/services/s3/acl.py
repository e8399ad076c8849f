"""Access control lists, which owner-enforced buckets do not have (AWS's default since April 2023)."""

from __future__ import annotations

from typing import Any

from wildsage.core.errors import ApiError
from wildsage.services.s3.names import owner_id
from wildsage.store.codec import Document

_HARMLESS = (None, "private", "bucket-owner-full-control")


def refuse_acl(request: Document) -> None:
    """Only ACLs that change nothing are taken; raises AccessControlListNotSupported for the others."""
    grants = [name for name in request if name.startswith("Grant") and request[name] is not None]
    if grants or request.get("ACL") not in _HARMLESS or request.get("AccessControlPolicy"):
        raise ApiError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def owner_only(account: str) -> Document:
    """The ACL of everything that has an owner and no grants."""
    owner: dict[str, Any] = {"ID": owner_id(account)}
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}

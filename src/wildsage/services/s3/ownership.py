"""Who owns what in a bucket, and what its public access block rules out.

Source: User Guide, "Controlling ownership of objects" and "Blocking public access".

A bucket without ownership controls behaves as ``ObjectWriter``, one without a public access block blocks nothing; a new
bucket has both, unless the server is told to make them as S3 did before April 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wildsage.core.credentials import ServerCredentials
from wildsage.services.s3 import acl, errors
from wildsage.services.s3.acl import Grants, Place
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document
from wildsage.store.objectindex import ObjectVersion
from wildsage.store.objectshown import Shown

BLOCK_ALL: Final = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def new_settings(legacy: bool) -> Document:
    """The settings of a bucket that states nothing."""
    if legacy:
        return {}
    return {"OwnershipControls": controls(acl.ENFORCED), "PublicAccessBlockConfiguration": BLOCK_ALL}


def controls(ownership: str) -> Document:
    return {"Rules": [{"ObjectOwnership": ownership}]}


def of_bucket(bucket: Bucket) -> str:
    """``BucketOwnerEnforced``, ``BucketOwnerPreferred`` or ``ObjectWriter``."""
    rules: list[Any] = (bucket.settings.get("OwnershipControls") or {}).get("Rules") or []
    return str(rules[0]["ObjectOwnership"]) if rules else "ObjectWriter"


def blocks(bucket: Bucket, what: str) -> bool:
    """Whether the public access block has ``what`` (``BlockPublicAcls`` and so on) set."""
    return bool((bucket.settings.get("PublicAccessBlockConfiguration") or {}).get(what))


def owner_of(bucket: Bucket, item: Shown | ObjectVersion) -> str:
    """The account that owns an object. With enforced ownership that is the bucket's, whoever wrote it."""
    if of_bucket(bucket) == acl.ENFORCED:
        return bucket.account
    return str(item.document.get("Owner", bucket.account))


def grants_of(bucket: Bucket, item: ObjectVersion) -> Sequence[Document]:
    """The ACL of an object."""
    owner = owner_of(bucket, item)
    if of_bucket(bucket) == acl.ENFORCED:
        return acl.full_control(owner)
    kept: Sequence[Document] | None = item.document.get("Acl")
    return acl.full_control(owner) if kept is None else kept


def bucket_grants(bucket: Bucket) -> Sequence[Document]:
    """The ACL of a bucket."""
    kept: Sequence[Document] | None = bucket.settings.get("Acl")
    return acl.full_control(bucket.account) if kept is None or of_bucket(bucket) == acl.ENFORCED else kept


def written(bucket: Bucket, writer: str, request: Document, credentials: ServerCredentials) -> Document:
    """What an object's document gets of owner and ACL when ``writer`` (an account) puts it; empty for the defaults.

    Raises AccessControlListNotSupported, AccessDenied for a public ACL that is blocked, or what ``acl.read`` raises.
    """
    if of_bucket(bucket) == acl.ENFORCED:
        acl.refuse_acl(request)
        return {}
    owner = writer
    if of_bucket(bucket) == acl.PREFERRED and request.get("ACL") == "bucket-owner-full-control":
        owner = bucket.account
    kept: Document = {} if owner == bucket.account else {"Owner": owner}
    if acl.stated(request):
        kept["Acl"] = new_grants(bucket, owner, request, credentials)
    return kept


def new_grants(bucket: Bucket, owner: str, request: Document, credentials: ServerCredentials) -> Grants:
    """The grants that a request states for something of ``owner`` in ``bucket``; raises as ``written`` does."""
    if of_bucket(bucket) == acl.ENFORCED:
        acl.refuse_acl(request)
    grants = acl.read(request, Place(owner, bucket.account, acl.ids_of(credentials.roots)))
    if blocks(bucket, "BlockPublicAcls") and acl.is_public(grants):
        raise errors.access_denied()
    return grants

"""What buckets and objects say about who may: asked by the door with every request.

Buckets are remembered until one changes; objects are read only where their ACL or their tags can make a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wildsage.access.guards import Guard
from wildsage.core.caller import Caller
from wildsage.kit.context import Platform
from wildsage.services.s3 import acl, errors, ownership, policies
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.objectindex import ObjectIndex, ObjectVersion
from wildsage.store.objecttables import NoBucket

BUCKET_CHANGED = "s3 bucket"
_PREFIX: Final = "arn:aws:s3:::"
# IAM action → the permission of the bucket's ACL that gives it (User Guide, "Mapping of ACL permissions").
_OF_BUCKET: Final[Mapping[str, str]] = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:AbortMultipartUpload": "WRITE",
    "s3:ListMultipartUploadParts": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
# … and of the object's.
_OF_OBJECT: Final[Mapping[str, str]] = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAttributes": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}

_POLICY_ACTIONS: Final = ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy")


class Guards:
    """``gateway.parts.Guards`` for S3."""

    def __init__(self, platform: Platform) -> None:
        self._buckets = Buckets(platform.database)
        self._objects = ObjectIndex(platform.database)
        self._known: dict[str, Bucket] = {}
        self._upstream = platform.settings.s3_upstream
        self._account = platform.settings.account
        platform.hints.listen(BUCKET_CHANGED, self._forget)

    def _forget(self, bucket: str) -> None:
        """What is found by a look that began before the change is forgotten too: it is put into what was known then."""
        self._known = {name: found for name, found in self._known.items() if name != bucket}

    async def __call__(self, service: str, caller: Caller, action: str, resource: str, version: str | None) -> Guard:
        """What stands at the ARN ``resource``; an empty guard where nothing of S3's does. Raises NoSuchBucket."""
        if service != "s3" or not resource.startswith(_PREFIX):
            return Guard()
        name, _, key = resource[len(_PREFIX) :].partition("/")
        if self._upstream is not None and self._upstream.holds(name):
            # What the upstream's policies say of its own principals is its business: here it is the account's.
            return Guard(self._account)
        if action == "s3:CreateBucket":
            return Guard()
        bucket = await self.bucket(name)
        if bucket is None:
            raise errors.no_such_bucket(name)  # S3 tells everyone
        policy: str | None = bucket.settings.get("Policy")
        usable = policy
        stranger = caller.account != bucket.account
        if policy is not None and stranger and ownership.blocks(bucket, "RestrictPublicBuckets"):
            usable = None if policies.is_public(policy) else policy
        if action in _POLICY_ACTIONS and caller.is_root and not stranger:
            usable = None  # no bucket owner is ever locked out (API reference, PutBucketPolicy)
        item = await self._item(bucket, action, key, version, policy)
        context = _tags(item)
        if item is not None and action in _OF_OBJECT and ownership.owner_of(bucket, item) != bucket.account:
            # A bucket's policy says nothing about objects that are not the bucket owner's.
            owner = ownership.owner_of(bucket, item)
            return Guard(owner, None, self._granted(bucket, item, action, caller.account), context)
        # Grants to the account are its own to hand on; those to everyone reach its users too.
        granted = self._granted(bucket, item, action, caller.account if stranger else "")
        return Guard(bucket.account, usable, granted, context)

    async def bucket(self, name: str) -> Bucket | None:
        """The bucket of that name, if there is one here."""
        if self._upstream is not None and self._upstream.holds(name):
            return None
        known = self._known
        if name not in known:
            try:
                known[name] = await self._buckets.get(name)
            except NoBucket:
                return None
        return known[name]

    async def _item(
        self, bucket: Bucket, action: str, key: str, version: str | None, policy: str | None
    ) -> ObjectVersion | None:
        """The object, if what it carries can matter."""
        by_acl = action in _OF_OBJECT and ownership.of_bucket(bucket) != acl.ENFORCED
        by_tags = policy is not None and "existingobjecttag" in policy.lower()
        if not key or not (by_acl or by_tags):
            return None
        try:
            found = await self._objects.find(bucket.name, key, version)
        except NoBucket:
            return None
        return found.object

    def _granted(self, bucket: Bucket, item: ObjectVersion | None, action: str, account: str) -> bool:
        if ownership.of_bucket(bucket) == acl.ENFORCED:
            return False
        ignore = ownership.blocks(bucket, "IgnorePublicAcls")
        if action in _OF_OBJECT and item is not None and not item.marker:
            return acl.allows(ownership.grants_of(bucket, item), _OF_OBJECT[action], account, ignore)
        if action in _OF_OBJECT:
            # There is no such object; whoever may list the bucket is told so.
            return acl.allows(ownership.bucket_grants(bucket), "READ", account, ignore)
        permission = _OF_BUCKET.get(action)
        return permission is not None and acl.allows(ownership.bucket_grants(bucket), permission, account, ignore)


def _tags(item: ObjectVersion | None) -> Mapping[str, tuple[str, ...]]:
    tags: Mapping[str, str] = {} if item is None else item.document.get("Tags") or {}
    return {f"s3:existingobjecttag/{name.lower()}": (value,) for name, value in tags.items()}

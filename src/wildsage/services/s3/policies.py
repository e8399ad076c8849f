"""Bucket policies, for the door: asked about with every request, so they are remembered until one changes."""

from __future__ import annotations

from wildsage.access.conditions import PolicyError
from wildsage.access.policies import Use, compile_policy
from wildsage.core.errors import ApiError
from wildsage.kit.context import Platform
from wildsage.store.buckets import Buckets
from wildsage.store.objecttables import NoBucket

POLICY_CHANGED = "s3 policy"
_PREFIX = "arn:aws:s3:::"


def check(document: str) -> None:
    """Raises MalformedPolicy."""
    try:
        compile_policy(document, Use.RESOURCE)
    except PolicyError as error:
        raise ApiError("MalformedPolicy", f"Policies must be valid JSON and this one is not: {error}", 400) from error


class BucketPolicies:
    """``gateway.parts.ResourcePolicy``."""

    def __init__(self, platform: Platform) -> None:
        self._buckets = Buckets(platform.database)
        self._known: dict[str, str | None] = {}
        platform.hints.listen(POLICY_CHANGED, self._forget)

    def _forget(self, bucket: str) -> None:
        self._known.pop(bucket, None)

    async def __call__(self, service: str, resource: str) -> str | None:
        """The policy on the bucket that ``resource`` (an ARN) is or lies in."""
        if service != "s3" or not resource.startswith(_PREFIX):
            return None
        name = resource[len(_PREFIX) :].partition("/")[0]
        if name not in self._known:
            try:
                bucket = await self._buckets.get(name)
            except NoBucket:
                return None
            self._known[name] = bucket.settings.get("Policy")
        return self._known[name]

"""What a bucket's events look like, and who is to hear of them.

Source: S3 User Guide, "Event message structure" and "Event notification types and destinations".
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from wildsage.kit.context import Context, Platform
from wildsage.kit.courier import topic_of
from wildsage.services.s3 import names
from wildsage.services.s3.notifications.configuration import SETTING, rules_of
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document
from wildsage.store.objectindex import EVENTS, ObjectVersion, Removed, Tell
from wildsage.store.outbox import Letter

_EMPTY_MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()
# User Guide: version 2.3 of the structure is of these families, 2.1 of all others that happen here.
_NEWER = ("LifecycleExpiration:", "ObjectTagging:", "ObjectAcl:")
_UNORDERED = ("ObjectTagging:", "ObjectAcl:")

TellRemoved = Callable[[Bucket, str, Removed], Iterator[Letter]]


class Cause:
    """What made an event happen: the request, or the server's own work."""

    def __init__(self, now: float, principal: str, address: str, request_id: str) -> None:
        self._now = now
        self._principal = principal
        self._address = address
        self._request_id = request_id

    @classmethod
    def of(cls, ctx: Context) -> Cause:
        """The request of ``ctx``."""
        peer = "" if ctx.request is None else ctx.request.peer.rpartition(":")[0].strip("[]")
        return cls(ctx.now, f"AWS:{ctx.caller.user_id}", peer or "s3.amazonaws.com", ctx.request_id)

    def letters(self, bucket: Bucket, event: str, key: str, described: Document) -> Iterator[Letter]:
        """One letter for each rule that wants to hear. ``described``: size, eTag and versionId, as far as known."""
        configuration = bucket.settings.get(SETTING)
        if not configuration:
            return
        for rule in rules_of(configuration):
            if rule.wants(event, key):
                record = self._record(bucket, event, rule.id, key, described)
                to = {"Target": rule.target, "Bucket": bucket.name, "Account": bucket.account}
                yield Letter({**to, "Record": record})

    def _record(self, bucket: Bucket, event: str, rule: str, key: str, described: Document) -> Document:
        return {
            "eventVersion": "2.3" if event.startswith(_NEWER) else "2.1",
            "eventSource": "aws:s3",
            "awsRegion": bucket.region,
            "eventTime": timestamp(self._now),
            "eventName": event,
            "userIdentity": {"principalId": self._principal},
            "requestParameters": {"sourceIPAddress": self._address},
            "responseElements": {"x-amz-request-id": self._request_id, "x-amz-id-2": host_id(self._request_id)},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": rule,
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": {"principalId": names.owner_id(bucket.account)},
                    "arn": f"arn:aws:s3:::{bucket.name}",
                },
                "object": {"key": encoded(key), **described},
            },
        }


def written(ctx: Context, event: str) -> Tell:
    """Tells of an object that was written or edited."""
    cause = Cause.of(ctx)

    def tell(bucket: Bucket, made: ObjectVersion) -> Iterator[Letter]:
        described: Document = (
            {"eTag": made.etag}
            if event.startswith(_UNORDERED)
            else {
                "size": made.size,
                "eTag": made.etag,
            }
        )
        if bucket.versioning:
            described["versionId"] = made.version
        return cause.letters(bucket, event, made.key, described)

    return tell


def removed(cause: Cause, family: str = "ObjectRemoved") -> TellRemoved:
    """Tells of an object that was removed, or of its delete marker."""

    def tell(bucket: Bucket, key: str, gone: Removed) -> Iterator[Letter]:
        described: Document = {"eTag": _EMPTY_MD5} if gone.made else {}
        if gone.version is not None:
            described["versionId"] = gone.version
        return cause.letters(bucket, f"{family}:{'DeleteMarkerCreated' if gone.made else 'Delete'}", key, described)

    return tell


def hint(platform: Platform) -> None:
    """There may be letters to deliver."""
    platform.hints.notify(topic_of(EVENTS))


def timestamp(now: float) -> str:
    """ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def host_id(request_id: str) -> str:
    """An x-amz-id-2: opaque."""
    return base64.b64encode(hashlib.sha384(request_id.encode()).digest()).decode()


def encoded(key: str) -> str:
    """A key as events have it: URL-encoded, a space as a plus, slashes as they are."""
    return quote_plus(key.encode("utf-8", "surrogatepass"), safe="/*")


def body(record: Document, number: int) -> str:
    """The message. ``number`` grows with every event and gives the sequencer, a hexadecimal text of fixed length."""
    of_object: dict[str, Any] = dict(record["s3"]["object"])
    if not record["eventName"].startswith(_UNORDERED):
        of_object["sequencer"] = f"{number:018X}"
    told = {**record, "s3": {**record["s3"], "object": of_object}}
    return json.dumps({"Records": [told]}, separators=(",", ":"), ensure_ascii=False)

"""Object lock: retention and legal hold keep a version from being deleted (User Guide, "Locking objects").

What an object has of it stands in its document under ``Lock``, by the names of GetObject's answer: ``ObjectLockMode``,
``ObjectLockRetainUntilDate`` (epoch seconds) and ``ObjectLockLegalHoldStatus``.
"""

from __future__ import annotations

from typing import Any, Final

from wildsage.core.errors import ApiError
from wildsage.services.s3 import errors
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document

SETTING: Final = "ObjectLockConfiguration"
MODE: Final = "ObjectLockMode"
UNTIL: Final = "ObjectLockRetainUntilDate"
HOLD: Final = "ObjectLockLegalHoldStatus"
COMPLIANCE: Final = "COMPLIANCE"
_DAY: Final = 86_400.0


def enabled(bucket: Bucket) -> bool:
    """Whether the bucket has object lock."""
    return SETTING in bucket.settings


def demand(bucket: Bucket) -> None:
    """Raises InvalidRequest for a bucket without object lock."""
    if not enabled(bucket):
        raise errors.invalid_request("Bucket is missing Object Lock Configuration")


def check_configuration(configuration: Document) -> None:
    """Raises MalformedXML or InvalidRetentionPeriod."""
    if configuration.get("ObjectLockEnabled") != "Enabled":
        raise errors.malformed_xml()
    rule = configuration.get("Rule")
    if rule is None:
        return
    retention = rule.get("DefaultRetention") or {}
    periods = [retention[unit] for unit in ("Days", "Years") if retention.get(unit) is not None]
    if len(periods) != 1 or not retention.get("Mode"):
        raise errors.malformed_xml()
    if periods[0] <= 0:
        words = "Default retention period must be a positive integer value"
        raise ApiError("InvalidRetentionPeriod", words, 400)


def of_new(bucket: Bucket, request: Document, now: float) -> Document:
    """What the document of a new object gets: the request's lock, or the bucket's default retention.

    Raises InvalidRequest or InvalidArgument.
    """
    stated = {name: request[name] for name in (MODE, UNTIL, HOLD) if request.get(name) is not None}
    if stated:
        demand(bucket)
    if (MODE in stated) is not (UNTIL in stated):
        words = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        raise errors.invalid_argument(words, UNTIL, "")
    if UNTIL in stated:
        check_date(stated[UNTIL], now)
    elif enabled(bucket):
        stated |= _default(bucket.settings[SETTING], now)
    return {"Lock": stated} if stated else {}


def check_date(until: float, now: float) -> None:
    """Raises InvalidArgument for a date that has passed."""
    if until <= now:
        raise errors.invalid_argument("The retain until date must be in the future!", UNTIL, str(until))


def _default(configuration: Document, now: float) -> Document:
    retention = (configuration.get("Rule") or {}).get("DefaultRetention")
    if not retention:
        return {}
    days = retention.get("Days") or 365 * retention["Years"]
    return {MODE: retention["Mode"], UNTIL: now + days * _DAY}


def retained(document: Document, now: float) -> str | None:
    """The mode of a retention that is in force."""
    lock: dict[str, Any] = document.get("Lock") or {}
    return lock[MODE] if lock.get(UNTIL, 0) > now else None


def check_delete(document: Document, now: float, bypass: bool) -> None:
    """Raises AccessDenied for a version that is protected; ``bypass``: governance is left aside."""
    mode = retained(document, now)
    held = (document.get("Lock") or {}).get(HOLD) == "ON"
    if held or mode == COMPLIANCE or (mode is not None and not bypass):
        raise errors.access_denied("Access Denied because object protected by object lock.")


def retain(document: Document, retention: Document, now: float, bypass: bool) -> Document:
    """The document with another retention. Raises AccessDenied for one that weakens what is in force."""
    mode, until = retention.get("Mode"), retention.get("RetainUntilDate")
    if (mode is None) is not (until is None):
        raise errors.malformed_xml()
    if until is not None:
        check_date(until, now)
    lock: dict[str, Any] = dict(document.get("Lock") or {})
    present = retained(document, now)
    weaker = present is not None and (until is None or until < lock[UNTIL] or mode != present)
    if weaker and (present == COMPLIANCE or not bypass):
        raise errors.access_denied("Access Denied because object protected by object lock.")
    lock.pop(MODE, None)
    lock.pop(UNTIL, None)
    if until is not None:
        lock |= {MODE: mode, UNTIL: until}
    return {**document, "Lock": lock}

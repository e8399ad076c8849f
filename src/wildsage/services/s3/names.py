"""Names of buckets, keys and versions (S3 User Guide, "Bucket naming rules" and "Object key names")."""

from __future__ import annotations

import hashlib
import re
import secrets

from wildsage.core.errors import ApiError
from wildsage.core.ids import object_version
from wildsage.store.codec import Document

_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9](?<!-s3alias)(?<!--ol-s3)")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_KEY_BYTES = 1024
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def check_bucket(name: str) -> None:
    """Raises InvalidBucketName for a name that a new bucket must not have."""
    if not _BUCKET.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
        raise ApiError("InvalidBucketName", "The specified bucket is not valid.", 400, {"BucketName": name})


def check_key(key: str) -> None:
    """Raises KeyTooLongError beyond 1,024 bytes of UTF-8."""
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > _KEY_BYTES:
        fields = {"Size": str(size), "MaxSizeAllowed": str(_KEY_BYTES)}
        raise ApiError("KeyTooLongError", "Your key is too long", 400, fields)


def new_version() -> str:
    """A version id."""
    return object_version()


def new_upload() -> str:
    """An upload id: opaque."""
    return "".join(secrets.choice(_LETTERS) for _ in range(64))


def owner_id(account: str) -> str:
    """The account's canonical user id: 64 hex digits."""
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()


def owner(account: str) -> Document:
    """An account as answers name an owner."""
    return {"ID": owner_id(account), "DisplayName": account}

"""Presigned URLs of Signature Version 2, for S3 only.

boto3 makes them unless it is told ``signature_version="s3v4"`` or the region never knew them.  The signature covers
method, headers and resource but not the body; the hash is SHA-1 in an HMAC, which still holds.  Source: Amazon S3
Developer Guide, "Signing and Authenticating REST Requests", query string request authentication.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import unquote

from wildsage.wire.http.messages import Headers, Request
from wildsage.wire.names import virtual_bucket

# Query parameters that name what is asked for and are therefore signed.
_SUBRESOURCES = frozenset(
    {"accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "legal-hold", "lifecycle"}
    | {"location", "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication"}
    | {"requestPayment", "response-cache-control", "response-content-disposition", "response-content-encoding"}
    | {"response-content-language", "response-content-type", "response-expires", "restore", "retention", "select"}
    | {"select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning"}
    | {"versions", "website"}
)


def string_to_sign(request: Request, expires: str) -> str:
    """What the signature covers; headers may also stand in the query, as boto3 puts them there."""
    pairs = [pair.partition("=") for pair in request.query.split("&") if pair]
    given = {name.lower(): unquote(value) for name, _, value in pairs}
    for name, value in request.headers:
        given[name] = value.strip()
    amz = "".join(f"{name}:{value}\n" for name, value in sorted(given.items()) if name.startswith("x-amz-"))
    bucket = virtual_bucket(request.header("host") or "")
    resource = request.path if bucket is None else f"/{bucket}{request.path}"
    chosen = [(name, found, unquote(value)) for name, found, value in pairs if name in _SUBRESOURCES]
    signed = "&".join(f"{name}{found}{value}" for name, found, value in sorted(chosen))
    standard = f"{request.method}\n{given.get('content-md5', '')}\n{given.get('content-type', '')}\n{expires}\n"
    return f"{standard}{amz}{resource}{'?' if signed else ''}{signed}"


def hoisted(request: Request) -> Headers:
    """The headers that the URL carries in its query: S3 takes them as if they had been sent."""
    sent = {name for name, _ in request.headers}
    pairs = ((name.lower(), unquote(value)) for name, _, value in (p.partition("=") for p in request.query.split("&")))
    return [
        (name, value)
        for name, value in pairs
        if (name.startswith("x-amz-") or name in ("content-md5", "content-type")) and name not in sent
    ]


def signature(secret: str, to_sign: str) -> str:
    """Base64 of the HMAC."""
    return base64.b64encode(hmac.digest(secret.encode(), to_sign.encode("utf-8", "replace"), "sha1")).decode()

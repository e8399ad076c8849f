"""An operation of S3 as a request to the upstream (pure)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final
from urllib.parse import parse_qs, quote, unquote

from wildsage.core.errors import ApiError
from wildsage.core.upstream import S3Upstream
from wildsage.services.s3 import errors
from wildsage.store.codec import Document
from wildsage.wire.http.messages import BytesBody, Request
from wildsage.wire.model import Operation
from wildsage.wire.protocols import protocol_named

_BUCKET: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_OWNERS: Final = ("ExpectedBucketOwner", "ExpectedSourceBucketOwner")
_FIRST_REGION: Final = "us-east-1"


def request_of(operation: Operation, params: Document, upstream: S3Upstream) -> Request:
    """The request, unsigned; a streaming payload is the caller's to add.

    Raises ApiError for names that an upstream might read as something else than what was authorized here.
    """
    params = {name: value for name, value in params.items() if value is not None and name not in _OWNERS}
    if "Bucket" in params:
        check_names(params["Bucket"], params.get("Key", ""))
    if "CopySource" in params:
        params["CopySource"] = _plain_source(params["CopySource"])
    structured = _is_structured(operation)
    if structured:
        # What the client stated was of its own bytes; the upstream gets ours.
        for name in ("ContentMD5", str(operation.checksum.get("requestAlgorithmMember", ""))):
            params.pop(name, None)
    request = protocol_named("rest-xml").serialize_request(operation, params)
    body = request.body.data if isinstance(request.body, BytesBody) else b""
    if structured and body:
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        request.headers.append(("content-md5", digest))
    if not body and request.method in ("PUT", "POST"):
        request.headers.append(("content-length", "0"))
    _address(request, params.get("Bucket", ""), upstream)
    return request


def check_names(bucket: str, key: str) -> None:
    """Raises for a bucket or key whose path on the way could be taken for another one's."""
    if not _BUCKET.fullmatch(bucket):
        raise ApiError("InvalidBucketName", "The specified bucket is not valid.", 400, {"BucketName": bucket})
    if any(segment in (".", "..") for segment in key.split("/")):
        words = 'A key with "." or ".." between slashes cannot be passed on to another S3, which may read it as a path.'
        raise errors.invalid_argument(words, "Key", key)


def source_of(copy_source: str) -> tuple[str, str, str | None]:
    """Bucket, key and version of x-amz-copy-source, read as authorization reads it. Raises InvalidArgument."""
    path, _, query = copy_source.partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    if not bucket or not key:
        words = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise errors.invalid_argument(words, "x-amz-copy-source", copy_source)
    return bucket, key, parse_qs(query).get("versionId", [None])[0]


def _plain_source(copy_source: str) -> str:
    """Written anew, so that the upstream can read in it only what was authorized."""
    bucket, key, version = source_of(copy_source)
    check_names(bucket, key)
    path = f"/{bucket}/{quote(key, safe='/~')}"
    return path if version is None else f"{path}?versionId={quote(version, safe='~')}"


def placed(params: Document, signed: str, upstream: S3Upstream) -> Document:
    """CreateBucket's parameters: "in the region I am in" means the upstream's; any other region stays as it is."""
    configuration = dict(params.get("CreateBucketConfiguration") or {})
    if configuration.get("LocationConstraint", signed) != signed:
        return params
    configuration.pop("LocationConstraint", None)
    if upstream.region != _FIRST_REGION:
        configuration["LocationConstraint"] = upstream.region
    return {**params, "CreateBucketConfiguration": configuration or None}


def _is_structured(operation: Operation) -> bool:
    """Whether the body is a document with a checksum, not an object's bytes."""
    shape = operation.input
    if not operation.checksum or shape is None or not shape.payload:
        return False
    return not shape.members[shape.payload].streaming


def _address(request: Request, bucket: str, upstream: S3Upstream) -> None:
    """Host header and, for a bucket in the host's name, the path without it."""
    authority = upstream.authority
    # A certificate for *.host does not cover names with further dots.
    if bucket and upstream.virtual_hosted and not (upstream.scheme == "https" and "." in bucket):
        authority = f"{bucket}.{authority}"
        rest = request.target.removeprefix(f"/{bucket}")
        request.target = rest if rest.startswith("/") else f"/{rest}"
    request.headers.append(("host", authority))

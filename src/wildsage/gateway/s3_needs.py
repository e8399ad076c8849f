"""What S3's operations need, and the condition keys of S3 that a request brings.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

from wildsage.gateway.asked import Asked, Need
from wildsage.store.codec import Document

# Operation → action, where it is not the operation's own name.
_S3_ACTIONS: Mapping[str, str] = {
    "ListBuckets": "ListAllMyBuckets",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
# Actions that are others for a version that is named.
_VERSIONED = frozenset(
    {"GetObject", "DeleteObject", "GetObjectAcl", "PutObjectAcl", "GetObjectAttributes"}
    | {"GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"}
)
# Condition key → member of the request.
_KEYS: Mapping[str, str] = {
    "s3:prefix": "Prefix",
    "s3:delimiter": "Delimiter",
    "s3:max-keys": "MaxKeys",
    "s3:versionid": "VersionId",
    "s3:x-amz-acl": "ACL",
    "s3:x-amz-grant-full-control": "GrantFullControl",
    "s3:x-amz-grant-read": "GrantRead",
    "s3:x-amz-grant-read-acp": "GrantReadACP",
    "s3:x-amz-grant-write": "GrantWrite",
    "s3:x-amz-grant-write-acp": "GrantWriteACP",
    "s3:x-amz-copy-source": "CopySource",
    "s3:x-amz-metadata-directive": "MetadataDirective",
    "s3:x-amz-server-side-encryption": "ServerSideEncryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "s3:x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "s3:x-amz-storage-class": "StorageClass",
    "s3:x-amz-object-ownership": "ObjectOwnership",
    "s3:locationconstraint": "LocationConstraint",
    "s3:if-match": "IfMatch",
    "s3:if-none-match": "IfNoneMatch",
}


def s3_needs(asked: Asked) -> Iterable[Need]:
    """The bucket's or object's action; what a copy reads; each object of a DeleteObjects."""
    params = asked.params
    bucket, key, version = params.get("Bucket"), params.get("Key"), params.get("VersionId") or None
    action = _S3_ACTIONS.get(asked.operation, asked.operation)
    if bucket is None:
        yield Need(f"s3:{action}", "*")
        return
    home = f"arn:aws:s3:::{bucket}"
    context = _context(asked.operation, params)
    if asked.operation == "DeleteObjects":
        bypass = bool(params.get("BypassGovernanceRetention"))
        for item in params.get("Delete", {}).get("Objects") or ():
            version = item.get("VersionId") or None
            resource = f"{home}/{item.get('Key', '')}"
            yield Need(f"s3:{_of_version(action, version)}", resource, context, version, part=True)
            if bypass:
                yield Need("s3:BypassGovernanceRetention", resource, context, version, part=True)
        return
    resource = home if key is None else f"{home}/{key}"
    yield Need(f"s3:{_of_version(action, version)}", resource, context, version)
    if params.get("BypassGovernanceRetention"):
        yield Need("s3:BypassGovernanceRetention", resource, context, version)
    source = params.get("CopySource")
    if isinstance(source, str):
        path, _, query = source.partition("?")
        version = parse_qs(query).get("versionId", [None])[0]
        yield Need(f"s3:{_of_version('GetObject', version)}", f"arn:aws:s3:::{unquote(path).lstrip('/')}", {}, version)


def _of_version(action: str, version: str | None) -> str:
    if version is None or action not in _VERSIONED:
        return action
    return action.replace("Object", "ObjectVersion", 1)


def _context(operation: str, params: Document) -> dict[str, tuple[str, ...]]:
    context: dict[str, tuple[str, ...]] = {
        key: (_text(params[member]),) for key, member in _KEYS.items() if params.get(member) is not None
    }
    tags = _tags(params)
    if tags:
        context["s3:requestobjecttagkeys"] = tuple(tags)
        context |= {f"s3:requestobjecttag/{name.lower()}": (value,) for name, value in tags.items()}
    return context


def _tags(params: Document) -> dict[str, str]:
    """The tags that the request gives an object, from the header or the body."""
    given = params.get("Tagging")
    if isinstance(given, str):
        return dict(parse_qsl(given, keep_blank_values=True))
    if isinstance(given, Mapping):
        return {tag["Key"]: tag["Value"] for tag in given.get("TagSet") or ()}
    return {}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

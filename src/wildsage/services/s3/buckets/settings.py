"""Configuration documents of buckets: put, get and delete, told in one table.

Those marked as not running are kept and given back, and nothing acts on them yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import Handler, Operation
from wildsage.services.s3 import acl, cors, errors, lifecycle, ownership, policies
from wildsage.services.s3.access import bucket_of
from wildsage.services.s3.buckets import tagging
from wildsage.services.s3.guards import BUCKET_CHANGED
from wildsage.services.s3.notifications import configuration, delivery
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.codec import Document


@dataclass(frozen=True, slots=True)
class Setting:
    """One document: its operations, and the ``member`` that carries it in the Put request.

    ``wrapped``: the Get answer has it under ``member``; otherwise its members are the answer's. ``missing``: code and
    message where there is none, or the document that then counts. ``deletes``: the delete operation, if there is one.
    """

    put: str
    get: str
    member: str
    missing: tuple[str, str] | Document
    deletes: str = ""
    wrapped: bool = False
    runs: bool = False


_ENCRYPTED = "ServerSideEncryptionConfiguration"
# What every bucket has since January 2023.
_ENCRYPTION: Document = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
}

SETTINGS = (
    Setting(
        "PutBucketTagging",
        "GetBucketTagging",
        "Tagging",
        ("NoSuchTagSet", "The TagSet does not exist"),
        "DeleteBucketTagging",
        runs=True,
    ),
    Setting(
        "PutBucketPolicy",
        "GetBucketPolicy",
        "Policy",
        ("NoSuchBucketPolicy", "The bucket policy does not exist"),
        "DeleteBucketPolicy",
        wrapped=True,
        runs=True,
    ),
    Setting(
        "PutBucketCors",
        "GetBucketCors",
        "CORSConfiguration",
        ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        "DeleteBucketCors",
        runs=True,
    ),
    Setting(
        "PutBucketLifecycleConfiguration",
        "GetBucketLifecycleConfiguration",
        "LifecycleConfiguration",
        ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
        "DeleteBucketLifecycle",
        runs=True,
    ),
    Setting(
        "PutBucketEncryption",
        "GetBucketEncryption",
        "ServerSideEncryptionConfiguration",
        ("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found"),
        "DeleteBucketEncryption",
        wrapped=True,
        runs=True,
    ),
    Setting(
        "PutPublicAccessBlock",
        "GetPublicAccessBlock",
        "PublicAccessBlockConfiguration",
        ("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"),
        "DeletePublicAccessBlock",
        wrapped=True,
        runs=True,
    ),
    Setting(
        "PutBucketOwnershipControls",
        "GetBucketOwnershipControls",
        "OwnershipControls",
        ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
        "DeleteBucketOwnershipControls",
        wrapped=True,
        runs=True,
    ),
    Setting(
        "PutBucketNotificationConfiguration",
        "GetBucketNotificationConfiguration",
        configuration.SETTING,
        {},
        runs=True,
    ),
    Setting(
        "PutBucketWebsite",
        "GetBucketWebsite",
        "WebsiteConfiguration",
        ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
        "DeleteBucketWebsite",
    ),
    Setting(
        "PutBucketRequestPayment", "GetBucketRequestPayment", "RequestPaymentConfiguration", {"Payer": "BucketOwner"}
    ),
    Setting("PutBucketLogging", "GetBucketLogging", "BucketLoggingStatus", {}),
    Setting("PutBucketAccelerateConfiguration", "GetBucketAccelerateConfiguration", "AccelerateConfiguration", {}),
    Setting(
        "PutBucketReplication",
        "GetBucketReplication",
        "ReplicationConfiguration",
        ("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
        "DeleteBucketReplication",
        wrapped=True,
    ),
)


def _check(setting: Setting, value: Any, bucket: Bucket) -> None:
    """What a document must be beyond its shape."""
    if setting.member == "CORSConfiguration":
        cors.check(value)
    if setting.member == "Policy":
        policies.check(value)
        if ownership.blocks(bucket, "BlockPublicPolicy") and policies.is_public(value):
            raise errors.access_denied("The bucket's public access block does not take public policies")
    if setting.member == "OwnershipControls":
        enforced = value["Rules"][0]["ObjectOwnership"] == acl.ENFORCED
        if enforced and list(ownership.bucket_grants(bucket)) != acl.full_control(bucket.account):
            raise ApiError(
                "InvalidBucketAclWithObjectOwnership",
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
                400,
            )
    if setting.member == "Tagging":
        tagging.check(value.get("TagSet", ()))
    if setting.member == "ServerSideEncryptionConfiguration":
        for rule in value.get("Rules", ()):
            default = rule.get("ApplyServerSideEncryptionByDefault") or {}
            if default.get("KMSMasterKeyID") and default["SSEAlgorithm"] == "AES256":
                raise errors.invalid_argument(
                    "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
                    "KMSMasterKeyID",
                    default["KMSMasterKeyID"],
                )


def _put(setting: Setting) -> Handler:
    async def handler(ctx: Context, request: Document) -> Document:
        bucket = await bucket_of(ctx, request)
        value = request.get(setting.member)
        if value is None:
            raise errors.malformed_xml()
        if setting.member == lifecycle.SETTING:
            value = lifecycle.check(value)
        if setting.member == configuration.SETTING:
            value = configuration.check(value, bucket.region) or None
            if not request.get("SkipDestinationValidation"):
                await delivery.validate(ctx, bucket, value or {})
        _check(setting, value, bucket)
        with errors.store_errors(bucket.name):
            await Buckets(ctx.platform.database).set(bucket.name, setting.member, value)
        ctx.platform.hints.notify(BUCKET_CHANGED, about=bucket.name)
        return {}

    return handler


def _get(setting: Setting) -> Handler:
    async def handler(ctx: Context, request: Document) -> Document:
        bucket = await bucket_of(ctx, request)
        value = bucket.settings.get(setting.member)
        if value is None:
            if setting.member == _ENCRYPTED and not ctx.platform.settings.legacy_buckets:
                value = _ENCRYPTION
            elif isinstance(setting.missing, tuple):
                code, message = setting.missing
                raise ApiError(code, message, 404, {"BucketName": bucket.name})
            else:
                value = setting.missing
        return {setting.member: value} if setting.wrapped else dict(value)

    return handler


def _delete(setting: Setting) -> Handler:
    async def handler(ctx: Context, request: Document) -> Document:
        bucket = await bucket_of(ctx, request)
        with errors.store_errors(bucket.name):
            await Buckets(ctx.platform.database).set(bucket.name, setting.member, None)
        ctx.platform.hints.notify(BUCKET_CHANGED, about=bucket.name)
        return {}

    return handler


def operations() -> Iterator[Operation]:
    """The operations of all settings."""
    for setting in SETTINGS:
        yield Operation(setting.put, _put(setting), setting.runs)
        yield Operation(setting.get, _get(setting), setting.runs)
        if setting.deletes:
            yield Operation(setting.deletes, _delete(setting), setting.runs)

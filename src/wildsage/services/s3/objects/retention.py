"""Retention and legal hold of objects, and the object lock configuration of buckets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.s3 import errors, locking
from wildsage.services.s3.access import admit, bucket_of
from wildsage.services.s3.objects.operations import find, present
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.codec import Document
from wildsage.store.objectindex import Found, ObjectIndex


@operation("PutObjectLockConfiguration")
async def put_object_lock_configuration(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html"""
    await bucket_of(ctx, request)
    configuration = request.get(locking.SETTING)
    if configuration is None:
        raise errors.malformed_xml()
    locking.check_configuration(configuration)

    def change(bucket: Bucket) -> Bucket:
        if bucket.versioning != "Enabled":
            words = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            raise ApiError("InvalidBucketState", words, 409)
        return replace(bucket, settings={**bucket.settings, locking.SETTING: configuration})

    with errors.store_errors(request["Bucket"]):
        await Buckets(ctx.platform.database).edit(request["Bucket"], change)
    return {}


@operation("GetObjectLockConfiguration")
async def get_object_lock_configuration(ctx: Context, request: Document) -> Document:
    bucket = await bucket_of(ctx, request)
    if not locking.enabled(bucket):
        words = "Object Lock configuration does not exist for this bucket"
        raise ApiError("ObjectLockConfigurationNotFoundError", words, 404, {"BucketName": bucket.name})
    return {locking.SETTING: bucket.settings[locking.SETTING]}


async def _edit(ctx: Context, request: Document, change: Callable[[Document], Document]) -> Document:
    """Replaces the document of the version that the request names by what ``change`` makes of it."""
    key, version = request["Key"], request.get("VersionId")

    def work(found: Found) -> Document:
        admit(ctx, found.bucket, request)
        locking.demand(found.bucket)
        return change(present(found, key, version).document)

    with errors.store_errors(request["Bucket"]):
        await ObjectIndex(ctx.platform.database).edit(request["Bucket"], key, version, work)
    return {}


@operation("PutObjectRetention")
async def put_object_retention(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html"""
    retention, bypass = request.get("Retention") or {}, bool(request.get("BypassGovernanceRetention"))
    return await _edit(ctx, request, lambda document: locking.retain(document, retention, ctx.now, bypass))


@operation("GetObjectRetention")
async def get_object_retention(ctx: Context, request: Document) -> Document:
    lock = await _lock(ctx, request)
    if locking.MODE not in lock:
        raise _none(request["Key"])
    return {"Retention": {"Mode": lock[locking.MODE], "RetainUntilDate": lock[locking.UNTIL]}}


@operation("PutObjectLegalHold")
async def put_object_legal_hold(ctx: Context, request: Document) -> Document:
    status = (request.get("LegalHold") or {}).get("Status")
    if status is None:
        raise errors.malformed_xml()

    def change(document: Document) -> Document:
        return {**document, "Lock": {**(document.get("Lock") or {}), locking.HOLD: status}}

    return await _edit(ctx, request, change)


@operation("GetObjectLegalHold")
async def get_object_legal_hold(ctx: Context, request: Document) -> Document:
    lock = await _lock(ctx, request)
    if locking.HOLD not in lock:
        raise _none(request["Key"])
    return {"LegalHold": {"Status": lock[locking.HOLD]}}


async def _lock(ctx: Context, request: Document) -> Document:
    found, item = await find(ctx, request)
    locking.demand(found.bucket)
    return item.document.get("Lock") or {}


def _none(key: str) -> ApiError:
    words = "The specified object does not have a ObjectLock configuration"
    return ApiError("NoSuchObjectLockConfiguration", words, 404, {"Key": key})

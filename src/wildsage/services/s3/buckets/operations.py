"""Buckets: create, head, list, delete, location, versioning, access control lists."""

from __future__ import annotations

from dataclasses import replace

from wildsage.core import arn, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.s3 import acl, errors, locking, names, ownership, policies
from wildsage.services.s3.access import GARBAGE, bucket_of
from wildsage.services.s3.buckets import tagging
from wildsage.services.s3.guards import BUCKET_CHANGED
from wildsage.store.buckets import Bucket, BucketExists, Buckets, NotEmpty
from wildsage.store.codec import Document

_FIRST_REGION = "us-east-1"
_MOST_BUCKETS = 10_000


@operation("CreateBucket")
async def create_bucket(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html"""
    name = request["Bucket"]
    names.check_bucket(name)
    configuration = request.get("CreateBucketConfiguration") or {}
    region = _region(ctx.region, configuration.get("LocationConstraint"))
    settings = ownership.new_settings(ctx.platform.settings.legacy_buckets)
    if request.get("ObjectOwnership"):
        settings["OwnershipControls"] = ownership.controls(request["ObjectOwnership"])
    if configuration.get("Tags"):
        tagging.check(configuration["Tags"])
        settings["Tagging"] = {"TagSet": configuration["Tags"]}
    locked = bool(request.get("ObjectLockEnabledForBucket"))
    if locked:
        settings[locking.SETTING] = {"ObjectLockEnabled": "Enabled"}
    bucket = Bucket(name, ctx.account, region, ctx.now, "Enabled" if locked else "", settings)
    if acl.stated(request) and request.get("ACL") != "private":
        settings["Acl"] = ownership.new_grants(bucket, ctx.account, request, ctx.platform.credentials)
    try:
        await Buckets(ctx.platform.database).create(bucket)
    except BucketExists as error:
        _explain_taken(error.existing, ctx.account, region)
    return {"Location": f"/{name}", "BucketArn": arn.build("s3", "", "", name)}


def _region(signed: str, constraint: str | None) -> str:
    """Where a bucket goes: us-east-1 makes buckets anywhere, the other regions only their own."""
    if constraint == _FIRST_REGION:
        raise ApiError("InvalidLocationConstraint", "The specified location-constraint is not valid", 400)
    wanted = "eu-west-1" if constraint == "EU" else constraint
    if signed == _FIRST_REGION:
        return wanted or signed
    if wanted != signed:
        raise ApiError(
            "IllegalLocationConstraintException",
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint "
            "this request was sent to.",
            400,
        )
    return signed


def _explain_taken(existing: Bucket, account: str, region: str) -> None:
    if existing.account != account:
        raise ApiError(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.",
            409,
            {"BucketName": existing.name},
        )
    # Creating one's own bucket again is no error in us-east-1 (API reference, BucketAlreadyOwnedByYou).
    if existing.region != _FIRST_REGION or region != _FIRST_REGION:
        raise ApiError(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            409,
            {"BucketName": existing.name},
        )


@operation("HeadBucket")
async def head_bucket(ctx: Context, request: Document) -> Document:
    """Answers from every region, with the bucket's: that is how clients that were redirected find it."""
    with errors.store_errors(request["Bucket"]):
        bucket = await Buckets(ctx.platform.database).get(request["Bucket"])
    if request.get("ExpectedBucketOwner", bucket.account) != bucket.account:
        raise errors.access_denied()
    return {"BucketRegion": bucket.region, "BucketArn": arn.build("s3", "", "", bucket.name), "AccessPointAlias": False}


@operation("GetBucketLocation")
async def get_bucket_location(ctx: Context, request: Document) -> Document:
    """us-east-1 has no location constraint. Answers from every region."""
    region = (await head_bucket(ctx, request))["BucketRegion"]
    return {} if region == _FIRST_REGION else {"LocationConstraint": region}


@operation("ListBuckets")
async def list_buckets(ctx: Context, request: Document) -> Document:
    token = request.get("ContinuationToken")
    try:
        after = paging.text(token)
    except ValueError:
        raise errors.invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", str(token)
        ) from None
    limit = request.get("MaxBuckets") or _MOST_BUCKETS
    prefix, region = request.get("Prefix", ""), request.get("BucketRegion", "")
    found = await Buckets(ctx.platform.database).page(ctx.account, prefix, region, after, limit + 1)
    listed = [
        {
            "Name": each.name,
            "CreationDate": each.created,
            "BucketRegion": each.region,
            "BucketArn": arn.build("s3", "", "", each.name),
        }
        for each in found[:limit]
    ]
    answer: Document = {"Buckets": listed, "Owner": names.owner(ctx.account)}
    if prefix:
        answer["Prefix"] = prefix
    if len(found) > limit:
        answer["ContinuationToken"] = paging.encode(found[limit - 1].name)
    return answer


@operation("DeleteBucket")
async def delete_bucket(ctx: Context, request: Document) -> Document:
    bucket = await bucket_of(ctx, request)
    try:
        with errors.store_errors(bucket.name):
            await Buckets(ctx.platform.database).remove(bucket.name, ctx.now)
    except NotEmpty:
        raise ApiError(
            "BucketNotEmpty",
            "The bucket you tried to delete is not empty"
            + (". You must delete all versions in the bucket." if bucket.versioning else ""),
            409,
            {"BucketName": bucket.name},
        ) from None
    ctx.platform.hints.notify(GARBAGE)
    ctx.platform.hints.notify(BUCKET_CHANGED, about=bucket.name)
    return {}


@operation("GetBucketVersioning")
async def get_bucket_versioning(ctx: Context, request: Document) -> Document:
    """Nothing at all for a bucket that never had versioning."""
    bucket = await bucket_of(ctx, request)
    return {"Status": bucket.versioning} if bucket.versioning else {}


@operation("PutBucketVersioning")
async def put_bucket_versioning(ctx: Context, request: Document) -> Document:
    bucket = await bucket_of(ctx, request)
    configuration = request["VersioningConfiguration"]
    status = configuration.get("Status")
    if status not in ("Enabled", "Suspended"):
        raise ApiError(
            "IllegalVersioningConfigurationException",
            "The Versioning element must be specified",
            400,
        )
    if status == "Suspended" and locking.enabled(bucket):
        words = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        raise ApiError("InvalidBucketState", words, 409)
    if configuration.get("MFADelete") == "Enabled":
        raise errors.not_implemented("MFA delete")
    with errors.store_errors(bucket.name):
        await Buckets(ctx.platform.database).edit(bucket.name, lambda found: replace(found, versioning=status))
    return {}


@operation("GetBucketAcl")
async def get_bucket_acl(ctx: Context, request: Document) -> Document:
    bucket = await bucket_of(ctx, request)
    return acl.told(bucket.account, ownership.bucket_grants(bucket), ctx.platform.credentials.roots)


@operation("PutBucketAcl")
async def put_bucket_acl(ctx: Context, request: Document) -> Document:
    bucket = await bucket_of(ctx, request)
    grants = ownership.new_grants(bucket, bucket.account, request, ctx.platform.credentials)
    if ownership.of_bucket(bucket) != acl.ENFORCED:
        with errors.store_errors(bucket.name):
            await Buckets(ctx.platform.database).set(bucket.name, "Acl", grants)
        ctx.platform.hints.notify(BUCKET_CHANGED, about=bucket.name)
    return {}


@operation("GetBucketPolicyStatus")
async def get_bucket_policy_status(ctx: Context, request: Document) -> Document:
    """Whether policy or ACL lets in everyone (User Guide, "The meaning of public")."""
    bucket = await bucket_of(ctx, request)
    policy = bucket.settings.get("Policy")
    by_acl = acl.is_public(ownership.bucket_grants(bucket))
    return {"PolicyStatus": {"IsPublic": by_acl or (policy is not None and policies.is_public(policy))}}

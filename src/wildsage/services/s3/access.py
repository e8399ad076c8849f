"""What every operation on a bucket checks first: it exists, it is whose the request says, and it is of this region."""

from __future__ import annotations

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.services.s3 import errors
from wildsage.store.buckets import Bucket, Buckets
from wildsage.store.codec import Document

GARBAGE = "s3 garbage"
"""The hint that blobs wait to be taken off the disk."""
UNSYNCED = "s3 unsynced"
"""The hint that blobs were written whose files may not be on the disk yet."""


def admit(ctx: Context, bucket: Bucket, request: Document, owner_member: str = "ExpectedBucketOwner") -> None:
    """Raises AccessDenied, or PermanentRedirect with the region that clients then sign for."""
    expected = request.get(owner_member)
    if expected is not None and expected != bucket.account:
        raise errors.access_denied()
    if bucket.region != ctx.region:
        raise ApiError(
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all "
            "future requests to this endpoint.",
            301,
            {"Endpoint": f"s3.{bucket.region}.amazonaws.com", "Bucket": bucket.name, "Region": bucket.region},
        )


async def bucket_of(ctx: Context, request: Document) -> Bucket:
    """The request's bucket, admitted."""
    with errors.store_errors(request["Bucket"]):
        bucket = await Buckets(ctx.platform.database).get(request["Bucket"])
    admit(ctx, bucket, request)
    return bucket

"""The document of an object to be: what the request states and what its bucket adds."""

from __future__ import annotations

from wildsage.kit.context import Context
from wildsage.services.s3 import encryption, locking, names, ownership
from wildsage.services.s3.objects import headers
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document


def draft(ctx: Context, bucket: Bucket, request: Document) -> Document:
    """Headers, metadata, tags, owner, ACL, encryption and lock. Raises what is wrong with any of them."""
    names.check_key(request["Key"])
    headers.refuse(request)
    document = headers.describe(request)
    document["Headers"] |= encryption.described(ctx, bucket, request)
    document |= ownership.written(bucket, ctx.account, request, ctx.platform.credentials)
    return document | locking.of_new(bucket, request, ctx.now)

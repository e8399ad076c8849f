"""S3 with an upstream: each operation is carried out where its bucket is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

from wildsage.core import paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import Handler, Service
from wildsage.services.s3 import errors, names
from wildsage.services.s3.upstream.forwarder import Forwarder
from wildsage.services.s3.upstream.requests import placed, source_of
from wildsage.services.s3.upstream.resuming import Resuming
from wildsage.store.codec import Document

_MOST_BUCKETS: Final = 10_000


def in_front_of(local: Service, forwarder: Forwarder) -> Service:
    """``local`` for the buckets of this server, the upstream for its own."""
    found = {
        name: replace(each, handler=_either(name, each.handler, forwarder)) for name, each in local.operations.items()
    }
    found["ListBuckets"] = replace(
        local.operations["ListBuckets"], handler=_list_buckets(local.operations["ListBuckets"].handler, forwarder)
    )
    return replace(local, operations=found)


def _either(name: str, local: Handler, forwarder: Forwarder) -> Handler:
    upstream = forwarder.upstream

    async def handler(ctx: Context, request: Document) -> Document:
        there = upstream.holds(request["Bucket"])
        if "CopySource" in request and upstream.holds(source_of(request["CopySource"])[0]) != there:
            words = "The source is at the upstream and the target is not, or the other way round; "
            words += "download the object and upload it instead."
            raise ApiError("NotImplemented", words, 501)
        if not there:
            return await local(ctx, request)
        return await _forward(ctx, forwarder, name, request)

    return handler


async def _forward(ctx: Context, forwarder: Forwarder, name: str, request: Document) -> Document:
    owner = ctx.platform.settings.account
    for member in ("ExpectedBucketOwner", "ExpectedSourceBucketOwner"):
        if request.get(member, owner) != owner:
            raise errors.access_denied()
    if name == "CreateBucket":
        request = placed(request, ctx.region, forwarder.upstream)
    if name == "DeleteObjects" and ctx.refused:
        return await _delete_allowed(ctx, forwarder, request)
    return await _call(ctx, forwarder, name, request)


async def _call(ctx: Context, forwarder: Forwarder, name: str, request: Document) -> Document:
    if ctx.request is not None:
        return await forwarder.call(name, request, ctx.request)
    answer = await forwarder.call(name, request, inner=True)
    if name == "GetObject" and not isinstance(answer["Body"], bytes) and {"ETag", "ContentLength"} <= answer.keys():
        answer["Body"] = Resuming(forwarder, request, answer)
    return answer


async def _delete_allowed(ctx: Context, forwarder: Forwarder, request: Document) -> Document:
    """Leaves out what the caller may not delete, and says so in the answer."""
    bucket, asked = request["Bucket"], request["Delete"]
    allowed: list[Document] = []
    failed: list[Document] = []
    for each in asked.get("Objects") or []:
        if (f"arn:aws:s3:::{bucket}/{each['Key']}", each.get("VersionId") or None) in ctx.refused:
            failed.append({**each, "Code": "AccessDenied", "Message": "Access Denied"})
        else:
            allowed.append(each)
    answer: Document = {}
    if allowed:
        answer = await _call(ctx, forwarder, "DeleteObjects", {**request, "Delete": {**asked, "Objects": allowed}})
    return {**answer, "Errors": [*answer.get("Errors", []), *failed]}


def _list_buckets(local: Handler, forwarder: Forwarder) -> Handler:
    upstream = forwarder.upstream

    async def handler(ctx: Context, request: Document) -> Document:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html

        The upstream's buckets are those of the server's own account; other accounts see their own only.
        """
        mine = ctx.account == ctx.platform.settings.account
        if upstream.holds_all and mine:
            return await _call(ctx, forwarder, "ListBuckets", request)
        wanted = {name: request[name] for name in ("Prefix", "BucketRegion") if request.get(name)}
        found = [each async for each in _all_pages(ctx, local, wanted) if not upstream.holds(each["Name"])]
        if mine:

            async def there(ctx: Context, request: Document) -> Document:
                return await _call(ctx, forwarder, "ListBuckets", request)

            prefix = request.get("Prefix") or ""
            listed = [each async for each in _all_pages(ctx, there, wanted)]
            found += [each for each in listed if upstream.holds(each["Name"]) and each["Name"].startswith(prefix)]
        return _page(ctx, request, sorted(found, key=lambda each: str(each["Name"])))

    return handler


async def _all_pages(ctx: Context, handler: Handler, wanted: Document) -> AsyncIterator[dict[str, Any]]:
    token: Document = {}
    while True:
        answer = await handler(ctx, wanted | token)
        for each in answer.get("Buckets") or []:
            yield each
        if not answer.get("ContinuationToken"):
            return
        token = {"ContinuationToken": answer["ContinuationToken"]}


def _page(ctx: Context, request: Document, found: list[dict[str, Any]]) -> Document:
    token = request.get("ContinuationToken")
    try:
        after = paging.text(token)
    except ValueError:
        words = "The continuation token provided is incorrect"
        raise errors.invalid_argument(words, "continuation-token", str(token)) from None
    limit = request.get("MaxBuckets") or _MOST_BUCKETS
    left = [each for each in found if after is None or each["Name"] > after]
    answer: Document = {"Buckets": left[:limit], "Owner": names.owner(ctx.account)}
    if request.get("Prefix"):
        answer["Prefix"] = request["Prefix"]
    if len(left) > limit:
        answer["ContinuationToken"] = paging.encode(left[limit - 1]["Name"])
    return answer

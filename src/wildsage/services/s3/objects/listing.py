"""ListObjects, ListObjectsV2 and ListObjectVersions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from wildsage.core import paging
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.objects.rules import checksums, telling
from wildsage.services.s3 import errors, names, ownership
from wildsage.services.s3.access import bucket_of
from wildsage.services.s3.objects import headers
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document
from wildsage.store.objectindex import ObjectVersion
from wildsage.store.objectlisting import Listing
from wildsage.store.objectshown import Shown
from wildsage.store.objectwalk import Page, Walk

_MOST_KEYS = 1000


def limit_of(request: Document, member: str, name: str) -> int:
    """How many entries are asked for, at most 1,000. Raises InvalidArgument."""
    value: int = request.get(member, _MOST_KEYS)
    if not 0 <= value <= 2**31 - 1:
        raise errors.invalid_argument(f"Argument {name} must be an integer between 0 and 2147483647", name, str(value))
    return min(value, _MOST_KEYS)


def encoder(request: Document) -> Callable[[str], str]:
    """How names are written: percent-encoded if the client asks for it. Raises InvalidArgument."""
    encoding = request.get("EncodingType")
    if encoding not in (None, "url"):
        raise errors.invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", str(encoding))
    return _percent if encoding else str


def _percent(name: str) -> str:
    return quote(name, safe="/-_.*", errors="surrogatepass")


def common_prefixes(page: Page[Any], encode: Callable[[str], str]) -> Document:
    prefixes = [{"Prefix": encode(entry.name)} for entry in page.entries if entry.item is None]
    return {"CommonPrefixes": prefixes} if prefixes else {}


def echoed(request: Document, encode: Callable[[str], str], *members: str) -> Document:
    """Members of the request that the answer repeats, encoded."""
    told = {name: encode(request[name]) for name in members if request.get(name)}
    if request.get("EncodingType"):
        told["EncodingType"] = request["EncodingType"]
    return told


def _item(item: Shown | ObjectVersion, encode: Callable[[str], str]) -> Document:
    return {
        "Key": encode(item.key),
        "LastModified": int(item.modified),
        "ETag": telling.quoted(item.etag),
        "Size": item.size,
        "StorageClass": headers.storage_class(item.document),
        **checksums.algorithms(item.document),
    }


def _owner(bucket: Bucket, item: Shown | ObjectVersion) -> Document:
    return {"Owner": names.owner(ownership.owner_of(bucket, item))}


async def _page(ctx: Context, request: Document, after: str, limit: int) -> Page[Shown]:
    if not limit:
        return Page([], False)
    walk = Walk(request["Bucket"], request.get("Prefix", ""), request.get("Delimiter", ""), after, limit=limit)
    return await Listing(ctx.platform.database).current(walk)


@operation("ListObjects")
async def list_objects(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html"""
    bucket = await bucket_of(ctx, request)
    encode, limit = encoder(request), limit_of(request, "MaxKeys", "max-keys")
    page = await _page(ctx, request, request.get("Marker", ""), limit)
    answer: Document = {
        "Name": bucket.name,
        "Prefix": encode(request.get("Prefix", "")),
        "Marker": encode(request.get("Marker", "")),
        "MaxKeys": limit,
        "IsTruncated": page.truncated,
        "Contents": [
            {**_item(entry.item, encode), **_owner(bucket, entry.item)}
            for entry in page.entries
            if entry.item is not None
        ],
        **common_prefixes(page, encode),
        **echoed(request, encode, "Delimiter"),
    }
    # Without a delimiter the last key serves as the marker, and AWS sends none.
    if page.truncated and request.get("Delimiter"):
        answer["NextMarker"] = encode(page.entries[-1].name)
    return answer


@operation("ListObjectsV2")
async def list_objects_v2(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
    bucket = await bucket_of(ctx, request)
    encode, limit = encoder(request), limit_of(request, "MaxKeys", "max-keys")
    token = request.get("ContinuationToken")
    after = _position(token) if token else request.get("StartAfter", "")
    page = await _page(ctx, request, after, limit)
    items = [entry.item for entry in page.entries if entry.item is not None]
    asked = bool(request.get("FetchOwner"))
    contents = [{**_item(item, encode), **(_owner(bucket, item) if asked else {})} for item in items]
    answer: Document = {
        "Name": bucket.name,
        "Prefix": encode(request.get("Prefix", "")),
        "MaxKeys": limit,
        "KeyCount": len(page.entries),
        "IsTruncated": page.truncated,
        **common_prefixes(page, encode),
        **echoed(request, encode, "Delimiter", "StartAfter"),
    }
    if contents:
        answer["Contents"] = contents
    if token is not None:
        answer["ContinuationToken"] = token
    if page.truncated:
        answer["NextContinuationToken"] = paging.encode(page.entries[-1].name)
    return answer


def _position(token: str) -> str:
    try:
        return paging.text(token)
    except ValueError:
        raise errors.invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", token
        ) from None


@operation("ListObjectVersions")
async def list_object_versions(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
    bucket = await bucket_of(ctx, request)
    encode, limit = encoder(request), limit_of(request, "MaxKeys", "max-keys")
    key_marker, version_marker = request.get("KeyMarker", ""), request.get("VersionIdMarker", "")
    if version_marker and not key_marker:
        raise errors.invalid_argument(
            "A version-id marker cannot be specified without a key marker.", "version-id-marker", version_marker
        )
    listing = Listing(ctx.platform.database)
    walk = Walk(
        bucket.name,
        request.get("Prefix", ""),
        request.get("Delimiter", ""),
        key_marker,
        await listing.rank(bucket.name, key_marker, version_marker) if version_marker else None,
        limit,
    )
    page: Page[ObjectVersion] = await listing.versions(walk) if limit else Page([], False)
    versions, markers = _split(page, key_marker if walk.mark is not None else None, bucket, encode)
    answer: Document = {
        "Name": bucket.name,
        "Prefix": encode(request.get("Prefix", "")),
        "KeyMarker": encode(key_marker),
        "VersionIdMarker": version_marker,
        "MaxKeys": limit,
        "IsTruncated": page.truncated,
        "Versions": versions,
        "DeleteMarkers": markers,
        **common_prefixes(page, encode),
        **echoed(request, encode, "Delimiter"),
    }
    if page.truncated:
        last = page.entries[-1]
        answer["NextKeyMarker"] = encode(last.name)
        if last.item is not None:
            answer["NextVersionIdMarker"] = last.item.version
    return answer


def _split(
    page: Page[ObjectVersion], begun: str | None, bucket: Bucket, encode: Callable[[str], str]
) -> tuple[list[Document], list[Document]]:
    """Versions and delete markers; the first of each key is its latest, unless the page begins within the key."""
    versions: list[Document] = []
    markers: list[Document] = []
    previous = begun
    for entry in page.entries:
        item = entry.item
        if item is None:
            continue
        told = {"VersionId": item.version, "IsLatest": item.key != previous, **_owner(bucket, item)}
        previous = item.key
        if item.marker:
            markers.append({"Key": encode(item.key), "LastModified": int(item.modified), **told})
        else:
            versions.append({**_item(item, encode), **told})
    return versions, markers

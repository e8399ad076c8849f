"""Tags of an object and GetObjectAttributes."""

from __future__ import annotations

from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list
from wildsage.kit.operation import operation
from wildsage.objects.rules import checksums
from wildsage.services.s3 import encryption, errors
from wildsage.services.s3.access import admit
from wildsage.services.s3.notifications import events
from wildsage.services.s3.objects import headers
from wildsage.services.s3.objects.operations import find, present
from wildsage.store.codec import Document
from wildsage.store.objectindex import Found, ObjectIndex, ObjectVersion

_MOST_PARTS = 1000


@operation("GetObjectTagging")
async def get_object_tagging(ctx: Context, request: Document) -> Document:
    found, item = await find(ctx, request)
    return {"TagSet": tag_list(dict(sorted(item.document["Tags"].items()))), **_version(found, item)}


@operation("PutObjectTagging")
async def put_object_tagging(ctx: Context, request: Document) -> Document:
    listed = [(tag["Key"], tag["Value"]) for tag in request["Tagging"].get("TagSet") or []]
    return await _set_tags(ctx, request, headers.check_tags(listed), "ObjectTagging:Put")


@operation("DeleteObjectTagging")
async def delete_object_tagging(ctx: Context, request: Document) -> Document:
    return await _set_tags(ctx, request, {}, "ObjectTagging:Delete")


async def _set_tags(ctx: Context, request: Document, tags: dict[str, str], event: str) -> Document:
    key, version = request["Key"], request.get("VersionId")
    versioned = False

    def change(found: Found) -> Document:
        nonlocal versioned
        admit(ctx, found.bucket, request)
        versioned = bool(found.bucket.versioning)
        return {**present(found, key, version).document, "Tags": tags}

    with errors.store_errors(request["Bucket"]):
        tell = events.written(ctx, event)
        item = await ObjectIndex(ctx.platform.database).edit(request["Bucket"], key, version, change, ctx.now, tell)
    events.hint(ctx.platform)
    return {"VersionId": item.version} if versioned else {}


def _version(found: Found, item: ObjectVersion) -> Document:
    return {"VersionId": item.version} if found.bucket.versioning else {}


@operation("GetObjectAttributes")
async def get_object_attributes(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html"""
    found, item = await find(ctx, request)
    encryption.opened(ctx.platform.credentials, request, item.document)
    wanted = set(request.get("ObjectAttributes") or ())
    told: Document = {"LastModified": int(item.modified), **_version(found, item)}
    if "ETag" in wanted:
        told["ETag"] = item.etag  # the one place where S3 writes it without quotes
    if "Checksum" in wanted and (stated := checksums.members(item.document)):
        told["Checksum"] = stated
    if "ObjectParts" in wanted and item.document.get("Parts"):
        told["ObjectParts"] = _parts(request, item)
    if "StorageClass" in wanted:
        told["StorageClass"] = headers.storage_class(item.document)
    if "ObjectSize" in wanted:
        told["ObjectSize"] = item.size
    return told


def _parts(request: Document, item: ObjectVersion) -> Document:
    """How the object was uploaded; checksums of parts only where they make up the object's."""
    parts = item.document["Parts"]
    told: Document = {"TotalPartsCount": len(parts)}
    composite = item.document.get("ChecksumType") == checksums.COMPOSITE
    after = request.get("PartNumberMarker") or 0
    limit = min(request.get("MaxParts", _MOST_PARTS), _MOST_PARTS)
    rest = [part for part in parts if part["Number"] > after]
    listed = [
        {
            "PartNumber": part["Number"],
            "Size": part["Size"],
            **{f"Checksum{name}": value for name, value in part["Checksums"].items() if composite},
        }
        for part in rest[:limit]
    ]
    told |= {"PartNumberMarker": after, "MaxParts": limit, "IsTruncated": len(rest) > limit, "Parts": listed}
    if listed:
        told["NextPartNumberMarker"] = listed[-1]["PartNumber"]
    return told

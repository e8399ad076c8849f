"""Multipart uploads: create, parts, part copies, abort, lists."""

from __future__ import annotations

from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.objects.base import Blob
from wildsage.objects.rules import checksums, ranges, telling
from wildsage.services.s3 import encryption, errors, names
from wildsage.services.s3.access import GARBAGE, bucket_of
from wildsage.services.s3.objects import store
from wildsage.services.s3.objects.copying import source_of
from wildsage.services.s3.objects.drafting import draft
from wildsage.services.s3.objects.listing import common_prefixes, echoed, encoder, limit_of
from wildsage.store.buckets import Bucket
from wildsage.store.codec import Document
from wildsage.store.objectlisting import Listing
from wildsage.store.objectwalk import Page, Walk
from wildsage.store.uploads import Part, Upload, Uploads

_MOST_PARTS = 10_000


@operation("CreateMultipartUpload")
async def create_multipart_upload(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html"""
    bucket = await bucket_of(ctx, request)
    document = draft(ctx, bucket, request)
    document["Initiator"] = ctx.account
    told: Document = {}
    asked = request.get("ChecksumAlgorithm")
    algorithm = checksums.known(asked) if asked else checksums.DEFAULT
    kind = checksums.type_for(algorithm, request.get("ChecksumType"))
    if asked:
        told = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
    document |= {"Algorithm": algorithm, "ChecksumType": kind, "Asked": bool(asked)}
    identity = names.new_upload()
    key = encryption.customer_key(request)
    if key is not None:
        document["Sealed"] = encryption.lock(key, identity)
    upload = Upload(identity, bucket.name, request["Key"], ctx.now, document)
    with errors.store_errors(bucket.name):
        await Uploads(ctx.platform.database).begin(upload)
    return {"Bucket": bucket.name, "Key": upload.key, "UploadId": upload.id, **told, **_encrypted(request, upload)}


async def upload_of(ctx: Context, request: Document) -> Upload:
    """The upload that a request names; raises NoSuchUpload."""
    with errors.store_errors(request["Bucket"]):
        return await Uploads(ctx.platform.database).get(request["Bucket"], request["Key"], request["UploadId"])


def _check_number(request: Document) -> int:
    number: int = request["PartNumber"]
    if not 1 <= number <= _MOST_PARTS:
        raise errors.invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive", "partNumber", str(number)
        )
    return number


@operation("UploadPart")
async def upload_part(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html"""
    await bucket_of(ctx, request)
    _check_number(request)
    upload = await upload_of(ctx, request)
    key = part_key(ctx, request, upload)
    demand = store.demand_of(ctx, request)
    algorithm = upload.document["Algorithm"]
    if upload.document["Asked"] and demand.algorithm not in (None, algorithm):
        raise errors.invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, actual checksum Type: "
            f"{str(demand.algorithm).lower()}"
        )
    blob = await store.receive(ctx, request, demand, {algorithm, demand.algorithm or algorithm}, key)
    await _keep_part(ctx, request, blob)
    told = {f"Checksum{name}": checksums.encode(raw) for name, raw in blob.checksums.items()}
    if not upload.document["Asked"] and demand.algorithm != algorithm:
        told.pop(f"Checksum{algorithm}")  # ours, not the client's
    return {"ETag": telling.quoted(blob.md5.hex()), **told, **_encrypted(request, upload)}


@operation("UploadPartCopy")
async def upload_part_copy(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html"""
    await bucket_of(ctx, request)
    _check_number(request)
    upload = await upload_of(ctx, request)
    key = part_key(ctx, request, upload)
    source = await source_of(ctx, request)
    offset, length = ranges.parse_copy(request.get("CopySourceRange"), source.item.size)
    objects = ctx.platform.objects
    sealed = encryption.opened(ctx.platform.credentials, request, source.item.document, "CopySource")
    body = objects.read(str(source.item.blob), offset, length, sealed)
    algorithm = upload.document["Algorithm"]
    with errors.store_errors(request["Bucket"]):
        blob = await objects.write(request["Bucket"], request["Key"], body, {algorithm}, key)
    await _keep_part(ctx, request, blob)
    result: Document = {"ETag": telling.quoted(blob.md5.hex()), "LastModified": int(ctx.now)}
    if upload.document["Asked"]:
        result[f"Checksum{algorithm}"] = checksums.encode(blob.checksums[algorithm])
    return {"CopyPartResult": result, **source.version, **_encrypted(request, upload)}


def part_key(ctx: Context, request: Document, upload: Upload) -> bytes | None:
    """The key that the upload's parts are sealed under. Raises InvalidRequest for none or another."""
    key, kept = encryption.customer_key(request), upload.document.get("Sealed")
    if kept is None and key is None:
        return encryption.writing_key(ctx.platform.credentials, request, upload.document["Headers"])
    if kept is None or key is None or not encryption.fits(key, kept):
        raise errors.invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
            "encryption parameters."
        )
    return key


def _encrypted(request: Document, upload: Upload) -> Document:
    """What an answer says of the encryption of what was sent."""
    kept = upload.document["Headers"]
    named = {name: kept[name] for name in ("ServerSideEncryption", "SSEKMSKeyId") if name in kept}
    return encryption.told(request) | named


async def _keep_part(ctx: Context, request: Document, blob: Blob) -> None:
    part = Part(request["PartNumber"], blob.size, blob.md5, ctx.now, blob.name, dict(blob.checksums))
    bucket = request["Bucket"]
    indexing = Uploads(ctx.platform.database).put_part(bucket, request["Key"], request["UploadId"], part)
    await store.commit(ctx, bucket, blob, indexing)


@operation("AbortMultipartUpload")
async def abort_multipart_upload(ctx: Context, request: Document) -> Document:
    bucket = await bucket_of(ctx, request)
    with errors.store_errors(bucket.name):
        await Uploads(ctx.platform.database).abort(bucket.name, request["Key"], request["UploadId"], ctx.now)
    ctx.platform.hints.notify(GARBAGE)
    return {}


@operation("ListParts")
async def list_parts(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html"""
    bucket = await bucket_of(ctx, request)
    limit = limit_of(request, "MaxParts", "max-parts")
    after = request.get("PartNumberMarker") or 0
    with errors.store_errors(bucket.name):
        upload, found = await Uploads(ctx.platform.database).parts(
            bucket.name, request["Key"], request["UploadId"], after, limit + 1
        )
    listed = [_part(upload, part) for part in found[:limit]]
    told: Document = {
        "Bucket": bucket.name,
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": after,
        "MaxParts": limit,
        "IsTruncated": len(found) > limit,
        "Parts": listed,
        **_people(bucket, upload),
        "StorageClass": upload.document["Headers"].get("StorageClass", "STANDARD"),
    }
    if listed:
        told["NextPartNumberMarker"] = listed[-1]["PartNumber"]
    if upload.document["Asked"]:
        told |= {"ChecksumAlgorithm": upload.document["Algorithm"], "ChecksumType": upload.document["ChecksumType"]}
    return told


def _people(bucket: Bucket, upload: Upload) -> Document:
    """Who began the upload, and who will own the object."""
    document = upload.document
    return {
        "Initiator": names.owner(document.get("Initiator", bucket.account)),
        "Owner": names.owner(document.get("Owner", bucket.account)),
    }


def _part(upload: Upload, part: Part) -> Document:
    told: Document = {
        "PartNumber": part.number,
        "LastModified": int(part.modified),
        "ETag": telling.quoted(part.md5.hex()),
        "Size": part.size,
    }
    if upload.document["Asked"]:
        algorithm = upload.document["Algorithm"]
        told[f"Checksum{algorithm}"] = checksums.encode(part.checksums[algorithm])
    return told


@operation("ListMultipartUploads")
async def list_multipart_uploads(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html"""
    bucket = await bucket_of(ctx, request)
    encode, limit = encoder(request), limit_of(request, "MaxUploads", "max-uploads")
    key_marker = request.get("KeyMarker", "")
    # An upload id marker counts only with a key marker (API reference).
    mark = (request.get("UploadIdMarker") or None) if key_marker else None
    walk = Walk(bucket.name, request.get("Prefix", ""), request.get("Delimiter", ""), key_marker, mark, limit)
    page: Page[Upload] = await Listing(ctx.platform.database).uploads(walk) if limit else Page([], False)
    uploads = [
        {
            "UploadId": upload.id,
            "Key": encode(upload.key),
            "Initiated": int(upload.initiated),
            "StorageClass": upload.document["Headers"].get("StorageClass", "STANDARD"),
            **_people(bucket, upload),
        }
        for upload in (entry.item for entry in page.entries)
        if upload is not None
    ]
    told: Document = {
        "Bucket": bucket.name,
        "KeyMarker": encode(key_marker),
        "MaxUploads": limit,
        "IsTruncated": page.truncated,
        "Uploads": uploads,
        **common_prefixes(page, encode),
        **echoed(request, encode, "Prefix", "Delimiter", "UploadIdMarker"),
    }
    if page.truncated:
        last = page.entries[-1]
        told["NextKeyMarker"] = encode(last.name)
        if last.item is not None:
            told["NextUploadIdMarker"] = last.item.id
    return told

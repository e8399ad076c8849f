"""CompleteMultipartUpload: the chosen parts become one object, or nothing happens."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.objects.base import Blob
from wildsage.objects.rules import checksums, conditions, telling
from wildsage.services.s3 import encryption, errors, names
from wildsage.services.s3.access import bucket_of
from wildsage.services.s3.multipart.operations import part_key, upload_of
from wildsage.services.s3.notifications import events
from wildsage.services.s3.objects import store
from wildsage.store.codec import Document
from wildsage.store.objectindex import ObjectIndex, ObjectVersion
from wildsage.store.uploads import Part, Upload, Uploads

_SMALLEST = 5 * 1024 * 1024
_ALL_PARTS = 10_000


@operation("CompleteMultipartUpload")
async def complete_multipart_upload(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html

    Completing again what was completed is answered as the first time, so that a client may repeat a lost call.
    """
    bucket = await bucket_of(ctx, request)
    key, identity = request["Key"], request["UploadId"]
    try:
        with errors.store_errors(bucket.name):
            upload, parts = await Uploads(ctx.platform.database).parts(bucket.name, key, identity, 0, _ALL_PARTS)
        if upload.document.get("Sealed") and (upload.document["Asked"] or request.get("SSECustomerKey")):
            part_key(ctx, request, upload)  # needed where the upload has checksums (API reference)
        chosen = choose(request.get("MultipartUpload") or {}, parts)
        made = await _complete(ctx, request, upload, chosen)
    except ApiError as error:
        if error.code != "NoSuchUpload":
            raise
        made = await _completed(ctx, bucket.name, key, identity)
    told = telling.written(made, bucket.versioning == "Enabled") | encryption.told(request)
    return {"Bucket": bucket.name, "Key": key, "Location": _location(ctx, bucket.name, key), **told}


async def _complete(ctx: Context, request: Document, upload: Upload, chosen: Sequence[Part]) -> ObjectVersion:
    document = _document(request, upload, chosen)
    check = conditions.write_check(request, request["Key"])
    size = sum(part.size for part in chosen)
    if request.get("MpuObjectSize") not in (None, size):
        raise errors.invalid_request("The provided 'x-amz-mp-object-size' header does not match what was computed")
    blob = await _join(ctx, request, upload, chosen)
    new = ObjectVersion(
        bucket=upload.bucket,
        key=upload.key,
        version=names.new_version(),
        modified=ctx.now,
        size=size,
        etag=etag_of(chosen),
        blob=blob.name,
        document=document,
    )
    tell = events.written(ctx, "ObjectCreated:CompleteMultipartUpload")
    indexing = Uploads(ctx.platform.database).complete(upload.id, chosen, new, check, tell)
    return await store.commit(ctx, upload.bucket, blob, indexing)


async def _join(ctx: Context, request: Document, upload: Upload, chosen: Sequence[Part]) -> Blob:
    """One blob of the parts. Raises NoSuchUpload if the upload was ended, and its parts swept away, meanwhile."""
    try:
        with errors.store_errors(upload.bucket):
            return await ctx.platform.objects.join(upload.bucket, upload.key, [part.blob for part in chosen])
    except FileNotFoundError:
        await upload_of(ctx, request)
        raise


async def _completed(ctx: Context, bucket: str, key: str, identity: str) -> ObjectVersion:
    """What the upload became, if it is still the current object; raises NoSuchUpload."""
    with errors.store_errors(bucket):
        found = await ObjectIndex(ctx.platform.database).find(bucket, key)
    if found.object is None or found.object.document.get("Upload") != identity:
        raise errors.no_such_upload(identity)
    return found.object


def choose(listed: Document, parts: Sequence[Part]) -> list[Part]:
    """The parts that a client lists. Raises MalformedXML, InvalidPartOrder, InvalidPart or EntityTooSmall."""
    wanted = listed.get("Parts") or []
    if not wanted:
        raise errors.malformed_xml()
    numbers = [each.get("PartNumber") or 0 for each in wanted]
    if any(following <= number for number, following in itertools.pairwise(numbers)):
        raise ApiError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            400,
        )
    there = {part.number: part for part in parts}
    chosen = [_match(each, there.get(number)) for each, number in zip(wanted, numbers, strict=True)]
    for part in chosen[:-1]:
        if part.size < _SMALLEST:
            fields = {
                "ProposedSize": str(part.size),
                "MinSizeAllowed": str(_SMALLEST),
                "PartNumber": str(part.number),
                "ETag": part.md5.hex(),
            }
            message = "Your proposed upload is smaller than the minimum allowed size"
            raise ApiError("EntityTooSmall", message, 400, fields)
    return chosen


def _match(listed: Document, part: Part | None) -> Part:
    """``part`` if it is the one that the client means."""
    stated = {
        name: listed[f"Checksum{name}"] for name in (part.checksums if part else ()) if f"Checksum{name}" in listed
    }
    if (
        part is None
        or (listed.get("ETag") or "").strip('"') != part.md5.hex()
        or any(checksums.encode(part.checksums[name]) != value for name, value in stated.items())
    ):
        raise ApiError(
            "InvalidPart",
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
            "specified entity tag may not match the part's entity tag.",
            400,
        )
    return part


def etag_of(parts: Sequence[Part]) -> str:
    """The MD5 of the parts' MD5s and their count."""
    together = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False)
    return f"{together.hexdigest()}-{len(parts)}"


def _document(request: Document, upload: Upload, chosen: Sequence[Part]) -> Document:
    """The object's index document. Raises BadDigest or InvalidRequest for a checksum that is not the parts'."""
    algorithm, kind = upload.document["Algorithm"], upload.document["ChecksumType"]
    if request.get("ChecksumType") not in (None, kind):
        raise errors.invalid_request(
            f"The upload was created using the {kind} checksum mode. The complete request must use the same "
            "checksum mode."
        )
    whole = checksums.of_parts(algorithm, kind, [(part.checksums[algorithm], part.size) for part in chosen])
    stated = request.get(f"Checksum{algorithm}")
    if stated is not None and stated not in (whole, whole.partition("-")[0]):
        raise ApiError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.", 400)
    return {
        "Headers": upload.document["Headers"],
        "Metadata": upload.document["Metadata"],
        "Tags": upload.document["Tags"],
        **{name: upload.document[name] for name in ("Owner", "Acl", "Lock") if name in upload.document},
        **_sealed(upload, chosen),
        "Checksums": {algorithm: whole},
        "ChecksumType": kind,
        "Upload": upload.id,
        "Parts": [
            {
                "Number": part.number,
                "Size": part.size,
                "Checksums": {algorithm: checksums.encode(part.checksums[algorithm])},
            }
            for part in chosen
        ],
    }


def _sealed(upload: Upload, chosen: Sequence[Part]) -> Document:
    kept = upload.document.get("Sealed") or {}
    if not kept and "ServerSideEncryption" not in upload.document["Headers"]:
        return {}
    return {"Sealed": {**kept, "Segments": [[part.size, part.blob] for part in chosen]}}


def _location(ctx: Context, bucket: str, key: str) -> str:
    host = None if ctx.request is None else ctx.request.header("host")
    return f"http://{host or 's3.amazonaws.com'}/{bucket}/{key}"

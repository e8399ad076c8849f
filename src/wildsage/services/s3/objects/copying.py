"""Copies: CopyObject, and what UploadPartCopy shares with it.

Blobs never change, so a copy is a second name for the same bytes on disk wherever digests allow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.objects.base import Blob
from wildsage.objects.rules import checksums, conditions, telling
from wildsage.services.s3 import encryption, errors, names, sweep
from wildsage.services.s3.access import admit, bucket_of
from wildsage.services.s3.notifications import events
from wildsage.services.s3.objects import store
from wildsage.services.s3.objects.drafting import draft
from wildsage.services.s3.objects.operations import present
from wildsage.store.codec import Document
from wildsage.store.objectindex import ObjectIndex, ObjectVersion

_OF_COPY = ("SSEKMSKeyId", "ServerSideEncryption", "StorageClass", "WebsiteRedirectLocation")


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied. ``versioned``: its bucket has versions."""

    item: ObjectVersion
    versioned: bool

    @property
    def version(self) -> Document:
        return {"CopySourceVersionId": self.item.version} if self.versioned else {}


async def source_of(ctx: Context, request: Document) -> Source:
    """The object that x-amz-copy-source names, admitted and with its conditions checked."""
    bucket, key, version = _parse(request["CopySource"])
    with errors.store_errors(bucket):
        found = await ObjectIndex(ctx.platform.database).find(bucket, key, version)
    admit(ctx, found.bucket, request, "ExpectedSourceBucketOwner")
    try:
        item = present(found, key, version)
    except ApiError as error:
        if error.code != "MethodNotAllowed":
            raise
        message = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise errors.invalid_request(message) from None
    conditions.check_copy_source(request, item)
    await sweep.mend(ctx.platform, str(item.blob), item.size)
    return Source(item, bool(found.bucket.versioning))


def _parse(source: str) -> tuple[str, str, str | None]:
    """Bucket, key and version of ``[/]bucket/key[?versionId=id]``, percent-encoded. Raises InvalidArgument."""
    path, _, query = source.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        raise errors.invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "x-amz-copy-source", source
        )
    return bucket, key, parse_qs(query).get("versionId", [None])[0]


@operation("CopyObject")
async def copy_object(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""
    bucket = await bucket_of(ctx, request)
    drafted = draft(ctx, bucket, request)
    source = await source_of(ctx, request)
    if source.item.size > telling.LARGEST:
        raise errors.invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
        )
    document = _document(request, source.item, drafted)
    _refuse_no_change(request, source.item)
    key = encryption.writing_key(ctx.platform.credentials, request, document["Headers"])
    blob = await _bytes(ctx, request, source.item, key)
    document["Checksums"] = checksums.encode_all(blob.checksums)
    document |= encryption.sealed_document(request, key, [(blob.size, blob.name)])
    new = ObjectVersion(
        bucket=bucket.name,
        key=request["Key"],
        version=names.new_version(),
        modified=ctx.now,
        size=blob.size,
        etag=blob.md5.hex(),
        blob=blob.name,
        document=document,
    )
    check = conditions.write_check(request, request["Key"])
    indexing = ObjectIndex(ctx.platform.database).put(new, check, events.written(ctx, "ObjectCreated:Copy"))
    made = await store.commit(ctx, bucket.name, blob, indexing)
    told = telling.written(made, bucket.versioning == "Enabled") | encryption.told(request)
    result = {name: told.pop(name) for name in list(told) if name == "ETag" or name.startswith("Checksum")}
    return {**told, **source.version, "CopyObjectResult": {**result, "LastModified": int(made.modified)}}


def _document(request: Document, source: ObjectVersion, stated: Document) -> Document:
    """The copy's document: headers, metadata and tags are the source's or those stated, as the directives say."""
    if request.get("MetadataDirective", "COPY") != "REPLACE":
        # Never copied (API reference, x-amz-storage-class, x-amz-server-side-encryption).
        kept = {name: value for name, value in source.document["Headers"].items() if name not in _OF_COPY}
        chosen = {name: value for name, value in stated["Headers"].items() if name in _OF_COPY}
        stated["Headers"] = {**kept, **chosen}
        stated["Metadata"] = source.document["Metadata"]
    if request.get("TaggingDirective", "COPY") != "REPLACE":
        stated["Tags"] = source.document["Tags"]
    return stated


def _refuse_no_change(request: Document, source: ObjectVersion) -> None:
    same = (source.bucket, source.key) == (request["Bucket"], request["Key"]) and "versionId" not in request[
        "CopySource"
    ]
    changing = ("SSECustomerAlgorithm", "StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption")
    if same and request.get("MetadataDirective") != "REPLACE" and not any(request.get(name) for name in changing):
        raise errors.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


async def _bytes(ctx: Context, request: Document, source: ObjectVersion, key: bytes | None) -> Blob:
    """The copy's blob with its digests: by a second name where they are known, else by reading the bytes once."""
    objects, bucket, label = ctx.platform.objects, request["Bucket"], request["Key"]
    sealed = encryption.opened(ctx.platform.credentials, request, source.document, "CopySource")
    kept = source.document["Checksums"]
    asked = request.get("ChecksumAlgorithm")
    algorithm = checksums.known(asked) if asked else next(iter(kept), checksums.DEFAULT)
    whole = source.document.get("ChecksumType", checksums.FULL_OBJECT) == checksums.FULL_OBJECT
    with errors.store_errors(bucket):
        if sealed or key or "-" in source.etag or algorithm not in kept or not whole:
            body = objects.read(str(source.blob), 0, source.size, sealed)
            return await objects.write(bucket, label, body, {algorithm}, key)
        blob = await objects.duplicate(bucket, label, str(source.blob))
    known = {algorithm: checksums.decode(kept[algorithm], algorithm)}
    return Blob(blob.name, source.size, bytes.fromhex(source.etag), known)

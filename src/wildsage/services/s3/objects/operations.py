"""Objects: put, get, head, delete."""

from __future__ import annotations

from collections.abc import Callable

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.objects.rules import checksums, conditions, telling
from wildsage.services.s3 import acl, encryption, errors, lifecycle, locking, names, ownership, sweep
from wildsage.services.s3.access import GARBAGE, admit, bucket_of
from wildsage.services.s3.notifications import events
from wildsage.services.s3.objects import store
from wildsage.services.s3.objects.drafting import draft
from wildsage.store.codec import Document
from wildsage.store.objectindex import Found, ObjectIndex, ObjectVersion, Removal, Removed
from wildsage.wire.http.messages import FileBody

_MOST_DELETES = 1000


@operation("PutObject")
async def put_object(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
    bucket = await bucket_of(ctx, request)
    key = request["Key"]
    document = draft(ctx, bucket, request)
    secret = encryption.writing_key(ctx.platform.credentials, request, document["Headers"])
    check = conditions.write_check(request, request["Key"])
    demand = store.demand_of(ctx, request)
    blob = await store.receive(ctx, request, demand, {demand.algorithm or checksums.DEFAULT}, secret, store.SMALL)
    document["Checksums"] = checksums.encode_all(blob.checksums)
    document |= encryption.sealed_document(request, secret, [(blob.size, blob.name)])
    new = ObjectVersion(
        bucket=bucket.name,
        key=key,
        version=names.new_version(),
        modified=ctx.now,
        size=blob.size,
        etag=blob.md5.hex(),
        blob=blob.name,
        document=document,
    )
    form = ctx.request is not None and ctx.request.method == "POST"
    tell = events.written(ctx, "ObjectCreated:Post" if form else "ObjectCreated:Put")
    indexing = ObjectIndex(ctx.platform.database).put(new, check, tell, blob.unsynced)
    made = await store.commit(ctx, bucket.name, blob, indexing)
    told = telling.written(made, bucket.versioning == "Enabled")
    return told | encryption.told(request) | lifecycle.told(bucket, made)


async def find(ctx: Context, request: Document) -> tuple[Found, ObjectVersion]:
    """The object that a request names, admitted.

    Raises NoSuchBucket, NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete marker named by its version.
    """
    key, version = request["Key"], request.get("VersionId")
    with errors.store_errors(request["Bucket"]):
        found = await ObjectIndex(ctx.platform.database).find(request["Bucket"], key, version)
    admit(ctx, found.bucket, request)
    return found, present(found, key, version)


def present(found: Found, key: str, version: str | None) -> ObjectVersion:
    """What was found, if it has bytes; raises as ``find`` does."""
    if found.object is None:
        raise errors.no_such_key(key) if version is None else errors.no_such_version(key, version)
    if found.object.marker:
        told = {"x-amz-delete-marker": "true", "x-amz-version-id": found.object.version}
        if version is None:
            error = errors.no_such_key(key)
            error.fields = {**error.fields, **told}
            raise error
        raise ApiError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            405,
            {"Method": "GET", "ResourceType": "DeleteMarker", **told},
        )
    return found.object


async def _look(ctx: Context, request: Document) -> tuple[ObjectVersion, Document, int]:
    """What GetObject and HeadObject share: the object, the answer's headers, and where its bytes begin."""
    found, item = await find(ctx, request)
    if ctx.request is not None and ctx.request.header("x-amz-server-side-encryption") is not None:
        words = "x-amz-server-side-encryption header is not supported for this operation."
        raise errors.invalid_argument(words, "x-amz-server-side-encryption", "")
    encryption.opened(ctx.platform.credentials, request, item.document)
    conditions.check_read(request, item)
    expiration = {} if request.get("VersionId") else lifecycle.told(found.bucket, item)
    told = expiration | telling.answer(item, bool(found.bucket.versioning)) | encryption.told(request)
    return item, told, telling.add_piece(told, request, item)


@operation("GetObject")
async def get_object(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""
    item, told, offset = await _look(ctx, request)
    objects, blob, length = ctx.platform.objects, str(item.blob), told["ContentLength"]
    sealed = encryption.opened(ctx.platform.credentials, request, item.document)
    if sealed is not None:
        return told | {"Body": objects.read(blob, offset, length, sealed)}
    await sweep.mend(ctx.platform, blob, item.size)
    return told | {"Body": FileBody(objects.path(blob), offset, length)}


@operation("HeadObject")
async def head_object(ctx: Context, request: Document) -> Document:
    return (await _look(ctx, request))[1]


@operation("GetObjectAcl")
async def get_object_acl(ctx: Context, request: Document) -> Document:
    found, item = await find(ctx, request)
    bucket = found.bucket
    owner = ownership.owner_of(bucket, item)
    return acl.told(owner, ownership.grants_of(bucket, item), ctx.platform.credentials.roots)


@operation("PutObjectAcl")
async def put_object_acl(ctx: Context, request: Document) -> Document:
    key, version = request["Key"], request.get("VersionId")

    def change(found: Found) -> Document:
        admit(ctx, found.bucket, request)
        item, bucket = present(found, key, version), found.bucket
        grants = ownership.new_grants(bucket, ownership.owner_of(bucket, item), request, ctx.platform.credentials)
        return item.document if ownership.of_bucket(bucket) == acl.ENFORCED else {**item.document, "Acl": grants}

    with errors.store_errors(request["Bucket"]):
        tell = events.written(ctx, "ObjectAcl:Put")
        await ObjectIndex(ctx.platform.database).edit(request["Bucket"], key, version, change, ctx.now, tell)
    events.hint(ctx.platform)
    return {}


@operation("DeleteObject")
async def delete_object(ctx: Context, request: Document) -> Document:
    """Deleting what is not there is no error, as in AWS."""
    bucket = await bucket_of(ctx, request)
    removal = Removal(
        request["Key"],
        request.get("VersionId") or None,
        names.new_version(),
        _delete_check(ctx, request, request, "IfMatch", "IfMatchSize"),
        events.removed(events.Cause.of(ctx)),
    )
    (removed,) = await _remove(ctx, bucket.name, [removal])
    if isinstance(removed, ApiError):
        raise removed
    told: Document = {}
    if removed.version is not None:
        told["VersionId"] = removed.version
    if removed.marker:
        told["DeleteMarker"] = True
    return told


@operation("DeleteObjects")
async def delete_objects(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
    bucket = await bucket_of(ctx, request)
    listed = request["Delete"].get("Objects") or []
    if not 1 <= len(listed) <= _MOST_DELETES:
        raise errors.malformed_xml()
    tell = events.removed(events.Cause.of(ctx))
    removals = [
        Removal(
            each["Key"],
            each.get("VersionId") or None,
            names.new_version(),
            _delete_check(ctx, request, each, "ETag", "Size"),
            tell,
        )
        for each in listed
    ]
    deleted: list[Document] = []
    failed: list[Document] = []
    allowed = [each for each in removals if not _refused(ctx, bucket.name, each)]
    outcomes = dict(zip(map(id, allowed), await _remove(ctx, bucket.name, allowed), strict=True))
    for removal in removals:
        removed = outcomes.get(id(removal), errors.access_denied())
        told: Document = {"Key": removal.key}
        if removal.version is not None:
            told["VersionId"] = removal.version
        if isinstance(removed, ApiError):
            failed.append({**told, "Code": removed.code, "Message": removed.message})
            continue
        if removed.marker:
            told |= {"DeleteMarker": True, "DeleteMarkerVersionId": removed.version}
        deleted.append(told)
    answer: Document = {} if request["Delete"].get("Quiet") else {"Deleted": deleted}
    if failed:
        answer["Errors"] = failed
    return answer


def _refused(ctx: Context, bucket: str, removal: Removal) -> bool:
    return (f"arn:aws:s3:::{bucket}/{removal.key}", removal.version) in ctx.refused


def _delete_check(
    ctx: Context, request: Document, named: Document, etag_member: str, size_member: str
) -> Callable[[ObjectVersion | None], None]:
    """What the object must be: as a conditional delete demands, and not locked if a version of it goes.

    ``named``: the part of the request that names it.
    """
    etag, size = named.get(etag_member), named.get(size_member)
    bypass = bool(request.get("BypassGovernanceRetention"))

    def check(current: ObjectVersion | None) -> None:
        if current is None:
            return
        if named.get("VersionId"):
            locking.check_delete(current.document, ctx.now, bypass)
        if etag is not None and not conditions.matches(etag, current.etag):
            raise errors.precondition_failed("If-Match")
        if size is not None and size != current.size:
            raise errors.precondition_failed("x-amz-if-match-size")

    return check


async def _remove(ctx: Context, bucket: str, removals: list[Removal]) -> list[Removed | ApiError]:
    with errors.store_errors(bucket):
        removed = await ObjectIndex(ctx.platform.database).remove(bucket, removals, ctx.now)
    ctx.platform.hints.notify(GARBAGE)
    events.hint(ctx.platform)
    return removed

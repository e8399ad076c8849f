"""Layers, as clients ask for them that use the API without a registry's protocol."""

from __future__ import annotations

from typing import Final

from wildsage.core import paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.ecr import names, tokens, uploads
from wildsage.services.ecr.uploads import Upload
from wildsage.store.codec import Document
from wildsage.store.imageindex import Images
from wildsage.store.layers import Layers
from wildsage.wire.http.messages import BytesBody

_PART_BYTES: Final = 10 * 1024 * 1024
_LEAST_PART: Final = 5 * 1024 * 1024
_MEDIA_TYPE: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_PAGE: Final = 50


@operation("BatchCheckLayerAvailability")
async def batch_check_layer_availability(ctx: Context, request: Document) -> Document:
    repository, layers = await names.fetch(ctx, request), Layers(ctx.platform.database)
    found, failures = [], []
    for digest in request["layerDigests"]:
        if not names.DIGEST.fullmatch(digest):
            words = "Invalid layer digest: it must be sha256: and 64 hexadecimal digits"
            failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": words})
            continue
        layer = await layers.find(repository.uid, digest, ctx.now)
        if layer is None:
            found.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
        else:
            found.append(
                {
                    "layerDigest": digest,
                    "layerAvailability": "AVAILABLE",
                    "layerSize": layer.size,
                    "mediaType": _MEDIA_TYPE,
                }
            )
    return {"layers": found, "failures": failures}


@operation("InitiateLayerUpload")
async def initiate_layer_upload(ctx: Context, request: Document) -> Document:
    upload = await uploads.begin(ctx.platform, await names.fetch(ctx, request))
    return {"uploadId": upload.id, "partSize": _PART_BYTES}


async def _upload(ctx: Context, request: Document) -> Upload:
    return Upload(ctx.platform, await names.fetch(ctx, request), request["uploadId"])


@operation("UploadLayerPart")
async def upload_layer_part(ctx: Context, request: Document) -> Document:
    upload, data = await _upload(ctx, request), request["layerPartBlob"]
    first, last = request["partFirstByte"], request["partLastByte"]
    said = first, last - first + 1
    size = await upload.take(lambda: uploads.receive(ctx.platform, upload.repository, BytesBody(data)), said)
    return {**_place(upload), "uploadId": upload.id, "lastByteReceived": size - 1}


def _place(upload: Upload) -> Document:
    key = upload.repository.key
    return {"registryId": key.account, "repositoryName": key.name}


@operation("CompleteLayerUpload")
async def complete_layer_upload(ctx: Context, request: Document) -> Document:
    upload, layers = await _upload(ctx, request), Layers(ctx.platform.database)
    sizes = await upload.part_sizes()
    if not sizes:
        raise ApiError("EmptyUploadException", f"The upload with id '{upload.id}' has no parts")
    if any(size < _LEAST_PART for size in sizes[:-1]):
        words = f"Layer parts must be at least {_LEAST_PART} bytes, but for the last one"
        raise ApiError("LayerPartTooSmallException", words)
    for digest in request["layerDigests"]:
        if await layers.find(upload.repository.uid, digest, ctx.now) is not None:
            await upload.abort()
            key = upload.repository.key
            raise ApiError(
                "LayerAlreadyExistsException",
                f"Layer with digest '{digest}' already exists in the repository with name '{key.name}' in the registry "
                f"with id '{key.account}'",
            )
    layer = await upload.finish(request["layerDigests"])
    return {**_place(upload), "uploadId": upload.id, "layerDigest": layer.digest}


@operation("GetDownloadUrlForLayer")
async def get_download_url_for_layer(ctx: Context, request: Document) -> Document:
    """A link to this server that is good for an hour and needs no password."""
    repository, digest = await names.fetch(ctx, request), request["layerDigest"]
    if await Layers(ctx.platform.database).find(repository.uid, digest) is None:
        raise names.no_layers(repository.key, [digest])
    registry = names.home(repository)
    expires = int(ctx.now + tokens.LINK_SECONDS)
    proof = tokens.sign_link(ctx.platform.credentials.master, registry.place, repository.key.name, digest, expires)
    query = f"registry={registry.place}&expires={expires}&proof={proof}"
    url = f"{ctx.platform.settings.url}/v2/{repository.key.name}/blobs/{digest}?{query}"
    return {"downloadUrl": url, "layerDigest": digest}


@operation("ListImageReferrers")
async def list_image_referrers(ctx: Context, request: Document) -> Document:
    """Signatures and other documents about an image; all of them are active."""
    repository, limit = await names.fetch(ctx, request), request.get("maxResults") or _PAGE
    wanted = (request.get("filter") or {}).get("artifactTypes")
    after = names.after(request.get("nextToken"))
    subject = request["subjectId"]["imageDigest"]
    page = await Images(ctx.platform.database).referrers(repository.uid, subject, after, limit + 1)
    answer: Document = {
        "referrers": [
            {
                "digest": image.digest,
                "mediaType": image.media_type,
                "size": len(image.manifest),
                "artifactStatus": "ACTIVE",
                **({"artifactType": image.artifact_type} if image.artifact_type else {}),
            }
            for image in page[:limit]
            if wanted is None or image.artifact_type in wanted
        ]
    }
    if len(page) > limit:
        answer["nextToken"] = paging.encode(page[limit - 1].digest)
    return answer

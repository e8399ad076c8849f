"""Layers: read, and uploaded (OCI distribution specification, "Pulling blobs" and "Push")."""

from __future__ import annotations

import re
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.objects.rules import ranges
from wildsage.services.ecr import names, uploads
from wildsage.services.ecr.distribution import refusals
from wildsage.services.ecr.distribution.asking import Asking
from wildsage.services.ecr.distribution.refusals import VERSION, Refusal
from wildsage.services.ecr.uploads import Upload
from wildsage.store.layers import Layers
from wildsage.wire.http.messages import FileBody, Headers, Response

_CONTENT_RANGE: Final = re.compile(r"(?:bytes )?(\d{1,18})-(\d{1,18})(?:/(?:\d{1,18}|\*))?")
_UPLOAD_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def blob(asking: Asking) -> Response:
    """GET, with a range or without, and HEAD."""
    method, digest = asking.request.method, _digest(asking.place.of)
    if method not in ("GET", "HEAD"):
        raise refusals.no_such_method("GET, HEAD")
    await asking.needs("GetDownloadUrlForLayer" if method == "GET" else "BatchCheckLayerAvailability")
    repository, platform = await asking.repository(), asking.platform
    in_use = platform.clock.now() if method == "HEAD" else None
    layer = await Layers(platform.database).find(repository.uid, digest, in_use)
    if layer is None:
        raise refusals.blob_unknown(digest)
    headers: Headers = [
        VERSION,
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", digest),
        ("etag", f'"{digest}"'),
        ("accept-ranges", "bytes"),
    ]
    if asking.header("if-none-match") == f'"{digest}"':
        return Response(304, headers)
    piece = ranges.parse(asking.request.header("range"), layer.size) if method == "GET" else None
    offset, length = piece or (0, layer.size)
    headers.append(("content-length", str(length)))
    if piece is not None:
        headers.append(("content-range", ranges.describe(offset, length, layer.size)))
    body = FileBody(platform.objects.path(layer.blob), offset, length)
    return Response(200 if piece is None else 206, headers, body)


async def begin(asking: Asking) -> Response:
    """POST: an upload, a layer of another repository, or a whole layer at once."""
    if asking.request.method != "POST":
        raise refusals.no_such_method("POST")
    await asking.needs("InitiateLayerUpload")
    repository, query = await asking.repository(), asking.query
    if "mount" in query and await _mount(asking, _digest(query["mount"]), query.get("from", "")):
        return _created(asking, query["mount"])
    if "digest" not in query:
        upload = await uploads.begin(asking.platform, repository)
        return _progress(asking, upload, 0, 202)
    digest = _digest(query["digest"])
    await asking.needs("UploadLayerPart")
    await asking.needs("CompleteLayerUpload")
    upload = await uploads.begin(asking.platform, repository)
    await upload.take(lambda: asking.receive(repository))
    await upload.finish([digest])
    return _created(asking, digest)


async def _mount(asking: Asking, digest: str, source: str) -> bool:
    """Whether the repository has the layer now. Whoever may not read it where it is uploads it."""
    if not names.NAME.fullmatch(source):
        return False
    try:
        await asking.needs("BatchCheckLayerAvailability", source)
        await asking.needs("GetDownloadUrlForLayer", source)
        there = await names.fetch_in(asking.platform, asking.registry, source)
    except ApiError:
        return False
    repository, platform = await asking.repository(), asking.platform
    layers, now = Layers(platform.database), platform.clock.now()
    return await layers.mount(asking.registry.place, there.uid, repository.uid, digest, now)


async def upload(asking: Asking) -> Response:
    """An upload under way: bytes to append, its end, how far it is, or that it is given up."""
    answer = {"PATCH": _append, "PUT": _complete, "GET": _ask, "DELETE": _abort}.get(asking.request.method)
    if answer is None:
        raise refusals.no_such_method("GET, PATCH, PUT, DELETE")
    await asking.needs("CompleteLayerUpload" if asking.request.method == "PUT" else "UploadLayerPart")
    if not _UPLOAD_ID.fullmatch(asking.place.of):
        raise Refusal("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", 404)
    try:
        return await answer(asking, Upload(asking.platform, await asking.repository(), asking.place.of))
    except ApiError as error:
        if error.code != "InvalidParameterException":
            raise
        raise Refusal("SIZE_INVALID", error.message, 400) from None


async def _append(asking: Asking, upload: Upload) -> Response:
    size = await upload.take(lambda: asking.receive(upload.repository), _said(asking))
    return _progress(asking, upload, size, 202)


async def _complete(asking: Asking, upload: Upload) -> Response:
    """The last bytes may come along."""
    digest = _digest(asking.query.get("digest", ""))
    if asking.header("content-length") != "0":
        await asking.needs("UploadLayerPart")
        await upload.take(lambda: asking.receive(upload.repository), _said(asking))
    await upload.finish([digest])
    return _created(asking, digest)


async def _ask(asking: Asking, upload: Upload) -> Response:
    return _progress(asking, upload, await upload.size(), 204)


async def _abort(_asking: Asking, upload: Upload) -> Response:
    await upload.abort()
    return Response(204, [VERSION])


def _said(asking: Asking) -> tuple[int, int] | None:
    """Where a piece says that it begins, and its size."""
    text = asking.request.header("content-range")
    if text is None:
        return None
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None or int(found[2]) < int(found[1]):
        raise Refusal("BLOB_UPLOAD_INVALID", f"{text[:80]!r} is not a range of bytes, as 0-1023", 416)
    return int(found[1]), int(found[2]) - int(found[1]) + 1


def _progress(asking: Asking, upload: Upload, size: int, status: int) -> Response:
    headers = [
        VERSION,
        ("location", f"/v2/{asking.place.name}/blobs/uploads/{upload.id}"),
        ("range", f"0-{max(size - 1, 0)}"),
        ("docker-upload-uuid", upload.id),
    ]
    return Response(status, headers if status == 204 else [*headers, ("content-length", "0")])


def _created(asking: Asking, digest: str) -> Response:
    headers = [
        VERSION,
        ("location", f"/v2/{asking.place.name}/blobs/{digest}"),
        ("docker-content-digest", digest),
        ("content-length", "0"),
    ]
    return Response(201, headers)


def _digest(text: str) -> str:
    """Raises Refusal."""
    if not names.DIGEST.fullmatch(text):
        raise refusals.bad_digest(text)
    return text

"""Manifests, by tag and digest (OCI distribution specification, "Pulling manifests" and "Pushing Manifests")."""

from __future__ import annotations

import asyncio

from wildsage.services.ecr import images, names
from wildsage.services.ecr.distribution import refusals
from wildsage.services.ecr.distribution.asking import Asking
from wildsage.services.ecr.distribution.refusals import VERSION, Refusal
from wildsage.services.ecr.manifests import MOST_BYTES, digest_of
from wildsage.store.imageindex import Images, InUse
from wildsage.wire.http.messages import BodyTooLarge, Headers, Response


async def manifest(asking: Asking) -> Response:
    """GET, HEAD, PUT and DELETE, by tag or digest."""
    answer = {"GET": _get, "HEAD": _get, "PUT": _put, "DELETE": _delete}.get(asking.request.method)
    if answer is None:
        raise refusals.no_such_method("GET, HEAD, PUT, DELETE")
    return await answer(asking)


def _reference(asking: Asking) -> tuple[str | None, str | None]:
    """Digest and tag, of which one is None. Raises Refusal."""
    text = asking.place.of
    if ":" in text:
        if not names.DIGEST.fullmatch(text):
            raise refusals.bad_digest(text)
        return text, None
    if not names.TAG.fullmatch(text):
        raise Refusal("TAG_INVALID", f"{text[:140]!r} is not a tag: {names.TAG.pattern}", 400)
    return None, text


async def _get(asking: Asking) -> Response:
    await asking.needs("BatchGetImage")
    digest, tag = _reference(asking)
    repository = await asking.repository()
    found = await Images(asking.platform.database).find(repository.uid, digest, tag)
    if found is None:
        words = f"Requested image not found: {asking.place.name}{'@' if digest else ':'}{digest or tag}"
        raise Refusal("MANIFEST_UNKNOWN", words, 404)
    if asking.request.method == "GET":
        await images.note_pull(asking.platform, repository, found)
    headers: Headers = [
        VERSION,
        ("content-type", found.media_type),
        ("docker-content-digest", found.digest),
        ("etag", f'"{found.digest}"'),
    ]
    if asking.header("if-none-match") == f'"{found.digest}"':
        return Response(304, headers)
    return Response(200, headers, found.manifest)


async def _put(asking: Asking) -> Response:
    await asking.needs("PutImage")
    digest, tag = _reference(asking)
    repository = await asking.repository()
    try:
        data = await asking.request.body.read(MOST_BYTES)
    except BodyTooLarge:
        raise Refusal("SIZE_INVALID", f"A manifest may have {MOST_BYTES} bytes, and this one has more.", 413) from None
    if digest is not None and (own := await asyncio.to_thread(digest_of, data)) != digest:
        raise Refusal("DIGEST_INVALID", f"The digest of the manifest is {own}, not {digest}.", 400)
    image, _ = await images.keep(asking.platform, repository, data, asking.request.header("content-type"), tag)
    headers: Headers = [
        VERSION,
        ("location", f"/v2/{asking.place.name}/manifests/{image.digest}"),
        ("docker-content-digest", image.digest),
        ("content-length", "0"),
    ]
    if image.subject is not None:
        headers.append(("oci-subject", image.subject))
    return Response(201, headers)


async def _delete(asking: Asking) -> Response:
    """A digest takes all its tags along, a tag the image if it was its last, as BatchDeleteImage does."""
    await asking.needs("BatchDeleteImage")
    digest, tag = _reference(asking)
    repository, store = await asking.repository(), Images(asking.platform.database)
    if await store.find(repository.uid, digest, tag) is None:
        raise Refusal("MANIFEST_UNKNOWN", f"Requested image not found: {asking.place.of[:140]}", 404)
    try:
        if digest is not None:
            await store.delete(repository.uid, digest)
        elif tag is not None:
            await store.untag(repository.uid, tag)
    except InUse as error:
        words = f"Requested image referenced by manifest list: [{error.digest}]"
        raise Refusal("DENIED", words, 403) from None
    return Response(202, [VERSION, ("content-length", "0")])

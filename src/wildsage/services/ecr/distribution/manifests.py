"""Manifests and lists, by the OCI distribution specification."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from wildsage.services.ecr import images, names
from wildsage.services.ecr.distribution import refusals
from wildsage.services.ecr.distribution.asking import Asking
from wildsage.services.ecr.distribution.refusals import VERSION, Refusal
from wildsage.services.ecr.manifests import MOST_BYTES, OCI_INDEX, digest_of
from wildsage.store.imageindex import Image, Images, InUse
from wildsage.store.resources import Query
from wildsage.wire.http.messages import BodyTooLarge, Headers, Response

_MOST: Final = 1000


async def base(asking: Asking) -> Response:
    """``GET /v2/``: whether there is a registry, and whether the password is right."""
    if asking.request.method not in ("GET", "HEAD"):
        raise refusals.no_such_method("GET")
    return _json(200, {})


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
    if digest is not None and digest_of(data) != digest:
        raise Refusal("DIGEST_INVALID", f"The digest of the manifest is {digest_of(data)}, not {digest}.", 400)
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


def _limit(asking: Asking) -> int:
    text = asking.query.get("n", str(_MOST))
    if not text.isdecimal() or len(text) > 9:
        raise Refusal("PAGINATION_NUMBER_INVALID", f"n must be a number of entries, not {text[:20]!r}", 400)
    return min(int(text), _MOST)


async def tags(asking: Asking) -> Response:
    """``tags/list``, in the order of the tags."""
    _only_get(asking)
    await asking.needs("ListImages")
    repository, limit = await asking.repository(), _limit(asking)
    last = asking.query.get("last", "")
    found = await Images(asking.platform.database).tags(repository.uid, last, limit + 1)
    listed = [tag for tag, _ in found]
    return _page(asking, {"name": asking.place.name, "tags": listed[:limit]}, listed, limit)


async def catalog(asking: Asking) -> Response:
    """The names of the registry's repositories, in order."""
    _only_get(asking)
    await asking.needs("DescribeRepositories", "")
    limit, last = _limit(asking), asking.query.get("last", "")
    registry = asking.registry
    query = Query(names.KIND, registry.account, registry.region, limit=_MOST, sort="name", descending=False)
    listed: list[str] = []
    after = (last, 2**62) if last else None  # beyond the one of that name
    while len(listed) <= limit:
        page = await asking.platform.resources.page(
            Query(query.kind, query.account, query.region, limit=_MOST, sort="name", descending=False, after=after)
        )
        listed += [found.key.name for found in page.items]
        if page.following is None:
            break
        after = (page.following[0], page.following[1])
    return _page(asking, {"repositories": listed[:limit]}, listed, limit)


async def referrers(asking: Asking) -> Response:
    """What was pushed about an image: signatures, lists of parts."""
    _only_get(asking)
    await asking.needs("BatchGetImage")
    digest = asking.place.of
    if not names.DIGEST.fullmatch(digest):
        raise refusals.bad_digest(digest)
    repository, wanted = await asking.repository(), asking.query.get("artifactType")
    found = await Images(asking.platform.database).referrers(repository.uid, digest, "", _MOST)
    listed = [_descriptor(image) for image in found if wanted is None or image.artifact_type == wanted]
    headers = [] if wanted is None else [("oci-filters-applied", "artifactType")]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    return Response(200, [("content-type", OCI_INDEX), VERSION, *headers], json.dumps(index).encode())


def _descriptor(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mediaType": image.media_type,
        "digest": image.digest,
        "size": len(image.manifest),
    }
    if image.artifact_type:
        found["artifactType"] = image.artifact_type
    annotations = json.loads(image.manifest).get("annotations")
    return {**found, "annotations": annotations} if annotations else found


def _only_get(asking: Asking) -> None:
    if asking.request.method not in ("GET", "HEAD"):
        raise refusals.no_such_method("GET")


def _page(asking: Asking, answer: dict[str, Any], listed: list[str], limit: int) -> Response:
    headers: Headers = []
    if len(listed) > limit > 0:
        following = f"{asking.request.path}?n={limit}&last={quote(listed[limit - 1], safe='')}"
        headers.append(("link", f'<{following}>; rel="next"'))
    return _json(200, answer, headers)


def _json(status: int, document: object, headers: Headers | None = None) -> Response:
    known = [("content-type", "application/json"), VERSION, *(headers or [])]
    return Response(status, known, json.dumps(document).encode())

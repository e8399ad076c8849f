"""What there is: the registry itself, its repositories, their tags, and what was pushed about an image."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from wildsage.services.ecr import names
from wildsage.services.ecr.distribution import refusals
from wildsage.services.ecr.distribution.asking import Asking
from wildsage.services.ecr.distribution.refusals import VERSION, Refusal
from wildsage.services.ecr.manifests import OCI_INDEX
from wildsage.store.imageindex import Image, Images
from wildsage.store.resources import Query
from wildsage.wire.http.messages import Headers, Response

_MOST: Final = 1000
_BEYOND: Final = 2**62  # a number that no row has: a page goes on behind the name itself


async def base(asking: Asking) -> Response:
    """``GET /v2/``: whether there is a registry, and whether the password is right and somebody's."""
    _only_get(asking)
    await asking.known()
    return _json({})


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
    listed = await Images(asking.platform.database).tags(repository.uid, last, limit + 1)
    return _page(asking, {"name": asking.place.name, "tags": listed[:limit]}, listed, limit)


async def catalog(asking: Asking) -> Response:
    """The names of the registry's repositories, in order."""
    _only_get(asking)
    await asking.needs("DescribeRepositories")
    limit, last, registry = _limit(asking), asking.query.get("last"), asking.registry
    after = (last, _BEYOND) if last else None
    page = await asking.platform.resources.page(
        Query(
            names.KIND,
            registry.account,
            registry.region,
            limit=limit + 1,
            sort="name",
            descending=False,
            after=after,
        )
    )
    listed = [found.key.name for found in page.items]
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
    return {**found, "annotations": annotations} if isinstance(annotations, dict) else found


def _only_get(asking: Asking) -> None:
    if asking.request.method not in ("GET", "HEAD"):
        raise refusals.no_such_method("GET")


def _page(asking: Asking, answer: dict[str, Any], listed: list[str], limit: int) -> Response:
    headers: Headers = []
    if len(listed) > limit > 0:
        following = f"{asking.request.path}?n={limit}&last={quote(listed[limit - 1], safe='')}"
        headers.append(("link", f'<{following}>; rel="next"'))
    return _json(answer, headers)


def _json(document: object, headers: Headers | None = None) -> Response:
    known = [("content-type", "application/json"), VERSION, *(headers or [])]
    return Response(200, known, json.dumps(document).encode())

"""Images: put, get, list, describe, delete. ``keep`` is their one way in, also for clients that push."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from wildsage.core import paging
from wildsage.core.clock import to_datetime
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.kit.operation import operation
from wildsage.services.ecr import manifests, names, repositories
from wildsage.store.codec import Document
from wildsage.store.imageindex import Image, Images, InUse, MissingTargets, TagTaken
from wildsage.store.imagetables import LAYER
from wildsage.store.layers import NoRepository
from wildsage.store.resources import Resource

_PAGE = 100
_LARGE = 1 << 16  # bytes of a manifest: reading it takes longer than waking a thread for it
_PULL_SECONDS = 600.0  # between two notes that an image was pulled


async def keep(
    platform: Platform, repository: Resource, data: bytes, media_type: str | None, tag: str | None
) -> tuple[Image, bool]:
    """Stores a manifest and tags it; False if it was there, and so tagged, already. Raises ECR's errors."""
    key = repository.key
    try:
        now = platform.clock.now()
        if len(data) < _LARGE:
            image, named = manifests.read(data, media_type, now)
        else:
            image, named = await asyncio.to_thread(manifests.read, data, media_type, now)
    except manifests.Malformed as error:
        raise names.invalid(f"Invalid parameter at 'imageManifest': {error}") from None
    if tag is not None and not names.TAG.fullmatch(tag):
        raise names.invalid(
            f"Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression "
            f"{names.TAG.pattern}'"
        )
    try:
        new = await Images(platform.database).put(repository.uid, image, named, tag, repositories.movable(repository))
    except NoRepository:
        raise names.no_repository(key) from None
    except MissingTargets as error:
        if error.kind == LAYER:
            raise names.no_layers(key, error.digests) from None
        words = f"Images with digests '[{', '.join(error.digests)}]' required for pushing image into repository with "
        raise ApiError("ReferencedImagesNotFoundException", f"{words}name '{key.name}' do not exist") from None
    except TagTaken:
        raise ApiError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{key.name}' repository and cannot be overwritten because "
            "the tag is immutable.",
        ) from None
    return image, new


async def note_pull(platform: Platform, repository: Resource, image: Image) -> None:
    """Keeps when it was pulled, not every time."""
    now = platform.clock.now()
    if image.pulled is None or image.pulled < now - _PULL_SECONDS:
        await Images(platform.database).pulled(repository.uid, image.digest, now)


@operation("PutImage")
async def put_image(ctx: Context, request: Document) -> Document:
    repository = await names.fetch(ctx, request)
    data, tag, wanted = request["imageManifest"].encode(), request.get("imageTag"), request.get("imageDigest")
    key, digest = repository.key, manifests.digest_of(data)
    if wanted is not None and wanted != digest:
        words = f"Image digest {wanted} does not match the digest {digest} of the manifest"
        raise ApiError("ImageDigestDoesNotMatchException", words)
    image, new = await keep(ctx.platform, repository, data, request.get("imageManifestMediaType"), tag)
    if not new:
        tagged = f" and tag '{tag}'" if tag else ""
        raise ApiError(
            "ImageAlreadyExistsException",
            f"Image with digest '{digest}'{tagged} already exists in the repository with name '{key.name}' in registry "
            f"with id '{key.account}'",
        )
    return {"image": _told(repository, image, tag)}


def _told(repository: Resource, image: Image, tag: str | None) -> Document:
    identity = {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})}
    return {
        "registryId": repository.key.account,
        "repositoryName": repository.key.name,
        "imageId": identity,
        "imageManifest": image.manifest.decode(),
        "imageManifestMediaType": image.media_type,
    }


def _failure(identity: Mapping[str, Any], code: str, reason: str) -> Document:
    return {"imageId": dict(identity), "failureCode": code, "failureReason": reason}


def _misnamed(identity: Mapping[str, Any]) -> Document | None:
    """The failure of an image id that names nothing."""
    digest, tag = identity.get("imageDigest"), identity.get("imageTag")
    if not digest and not tag:
        words = "Invalid request parameters: both tag and digest cannot be null"
        return _failure(identity, "MissingDigestAndTag", words)
    if digest and not names.DIGEST.fullmatch(digest):
        words = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
        return _failure(identity, "InvalidImageDigest", words)
    if tag and not names.TAG.fullmatch(tag):
        words = "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9-_.]*'"
        return _failure(identity, "InvalidImageTag", words)
    return None


async def _find(ctx: Context, repository: Resource, identity: Mapping[str, Any]) -> Image | Document:
    """The image, or why there is none."""
    misnamed = _misnamed(identity)
    if misnamed is not None:
        return misnamed
    images, digest, tag = Images(ctx.platform.database), identity.get("imageDigest"), identity.get("imageTag")
    found = await images.find(repository.uid, digest, tag)
    if found is not None:
        return found
    if digest and tag and await images.find(repository.uid, digest, None) is not None:
        return _failure(identity, "ImageTagDoesNotMatchDigest", "The tag and the digest are of different images")
    return _failure(identity, "ImageNotFound", "Requested image not found")


@operation("BatchGetImage")
async def batch_get_image(ctx: Context, request: Document) -> Document:
    """``acceptedMediaTypes`` changes nothing: manifests are given as they were put."""
    repository = await names.fetch(ctx, request)
    found, failures = [], []
    for identity in request["imageIds"]:
        image = await _find(ctx, repository, identity)
        if isinstance(image, Image):
            await note_pull(ctx.platform, repository, image)
            found.append(_told(repository, image, identity.get("imageTag")))
        else:
            failures.append(image)
    return {"images": found, "failures": failures}


@operation("BatchDeleteImage")
async def batch_delete_image(ctx: Context, request: Document) -> Document:
    """By tag alone: the tag, and with the last one the image. By digest: the image with all its tags."""
    repository, images = await names.fetch(ctx, request), Images(ctx.platform.database)
    gone: list[Document] = []
    failures: list[Document] = []
    for identity in request["imageIds"]:
        image = await _find(ctx, repository, identity)
        if not isinstance(image, Image):
            failures.append(image)
            continue
        try:
            if identity.get("imageDigest"):
                tags = await images.delete(repository.uid, image.digest) or []
                gone += [{"imageDigest": image.digest, "imageTag": tag} for tag in tags]
                gone += [] if tags else [{"imageDigest": image.digest}]
            else:
                await images.untag(repository.uid, identity["imageTag"])
                gone.append({"imageDigest": image.digest, "imageTag": identity["imageTag"]})
        except InUse as error:
            words = f"Requested image referenced by manifest list: [{error.digest}]"
            failures.append(_failure(identity, "ImageReferencedByManifestList", words))
    return {"imageIds": gone, "failures": failures}


def _tagged(request: Document) -> bool | None:
    """What a filter wants: only tagged images, only untagged ones, or all."""
    chosen = request.get("filter") or {}
    if chosen.get("imageStatus", "ACTIVE") not in ("ACTIVE", "ANY"):
        raise names.invalid("Wildsage archives no images: imageStatus can be ACTIVE or ANY.")
    return {"TAGGED": True, "UNTAGGED": False}.get(chosen.get("tagStatus", "ANY"))


@operation("ListImages")
async def list_images(ctx: Context, request: Document) -> Document:
    """One id for each tag, and one for each image that has none."""
    repository, limit = await names.fetch(ctx, request), request.get("maxResults") or _PAGE
    digest, _, tag = names.after(request.get("nextToken")).partition(" ")
    page = await Images(ctx.platform.database).ids(repository.uid, (digest, tag), limit + 1, _tagged(request))
    answer: Document = {
        "imageIds": [{"imageDigest": digest, **({"imageTag": tag} if tag else {})} for digest, tag in page[:limit]]
    }
    if len(page) > limit:
        answer["nextToken"] = paging.encode(" ".join(page[limit - 1]))
    return answer


def _detail(repository: Resource, image: Image) -> Document:
    """An image as DescribeImages shows it."""
    found: Document = {
        "registryId": repository.key.account,
        "repositoryName": repository.key.name,
        "imageDigest": image.digest,
        "imageSizeInBytes": image.size,
        "imagePushedAt": to_datetime(image.pushed),
        "imageManifestMediaType": image.media_type,
        "imageStatus": "ACTIVE",
    }
    if image.tags:
        found["imageTags"] = list(image.tags)
    if image.artifact_type:
        found["artifactMediaType"] = image.artifact_type
    if image.subject:
        found["subjectManifestDigest"] = image.subject
    if image.pulled is not None:
        found["lastRecordedPullTime"] = to_datetime(image.pulled)
    return found


@operation("DescribeImages")
async def describe_images(ctx: Context, request: Document) -> Document:
    repository, images = await names.fetch(ctx, request), Images(ctx.platform.database)
    wanted = request.get("imageIds")
    if wanted:
        found = [await find_or_raise(ctx.platform, repository, each) for each in wanted]
        by_digest = {image.digest: image for image in found}
        return {"imageDetails": [_detail(repository, image) for image in by_digest.values()]}
    limit = request.get("maxResults") or _PAGE
    page = await images.page(repository.uid, names.after(request.get("nextToken")), limit + 1, _tagged(request))
    answer: Document = {"imageDetails": [_detail(repository, image) for image in page[:limit]]}
    if len(page) > limit:
        answer["nextToken"] = paging.encode(page[limit - 1].digest)
    return answer


async def find_or_raise(platform: Platform, repository: Resource, identity: Mapping[str, Any]) -> Image:
    """The image of an id; raises ImageNotFoundException or InvalidParameterException."""
    digest, tag = identity.get("imageDigest"), identity.get("imageTag")
    if not digest and not tag:
        raise names.invalid("Invalid parameter at 'imageId': both tag and digest cannot be null")
    found = await Images(platform.database).find(repository.uid, digest, tag)
    if found is None:
        raise names.no_image(repository.key, digest, tag)
    return found

"""Lifecycle policies of repositories: put, get, delete, preview. ``expiry`` carries them out."""

from __future__ import annotations

from wildsage.core import paging
from wildsage.core.clock import to_datetime
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.ecr import lifecycle, names
from wildsage.services.ecr.expiry import EVALUATED, PUT, RULES
from wildsage.services.ecr.repositories import change, take
from wildsage.store.codec import Document
from wildsage.store.imageindex import Images
from wildsage.store.resources import Key, Resource

_PREVIEW = "preview"
_PAGE = 100


def _check(text: str) -> None:
    """Raises InvalidParameterException."""
    try:
        lifecycle.parse(text)
    except lifecycle.Malformed as error:
        raise names.invalid(
            f"Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation "
            f"failure: {error}'"
        ) from None


def _answer(key: Key, text: str) -> Document:
    return {"registryId": key.account, "repositoryName": key.name, "lifecyclePolicyText": text}


def _none(key: Key) -> ApiError:
    return ApiError("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist for {names.place(key)}")


@operation("PutLifecyclePolicy")
async def put_lifecycle_policy(ctx: Context, request: Document) -> Document:
    """Carried out at once, and every hour from then on."""
    text = request["lifecyclePolicyText"]
    _check(text)
    found = await change(ctx, request, lambda repository: repository.state.update({RULES: text}))
    ctx.platform.hints.notify(PUT)
    return _answer(found.key, text)


@operation("GetLifecyclePolicy")
async def get_lifecycle_policy(ctx: Context, request: Document) -> Document:
    found = await names.fetch(ctx, request)
    if RULES not in found.state:
        raise _none(found.key)
    return {**_answer(found.key, found.state[RULES]), **_evaluated(found)}


def _evaluated(repository: Resource) -> Document:
    at = repository.state.get(EVALUATED)
    return {} if at is None else {"lastEvaluatedAt": to_datetime(at)}


@operation("DeleteLifecyclePolicy")
async def delete_lifecycle_policy(ctx: Context, request: Document) -> Document:
    found, text = await take(ctx, request, RULES, _none)
    return {**_answer(found.key, text), **_evaluated(found)}


@operation("StartLifecyclePolicyPreview")
async def start_lifecycle_policy_preview(ctx: Context, request: Document) -> Document:
    """Of the text given, else of the repository's policy. There is nothing to wait for."""
    repository = await names.fetch(ctx, request)
    text = request.get("lifecyclePolicyText") or repository.state.get(RULES)
    if text is None:
        raise _none(repository.key)
    _check(text)
    await change(ctx, request, lambda found: found.state.update({_PREVIEW: text}))
    return {**_answer(repository.key, text), "status": "IN_PROGRESS"}


@operation("GetLifecyclePolicyPreview")
async def get_lifecycle_policy_preview(ctx: Context, request: Document) -> Document:
    """What would go now."""
    repository = await names.fetch(ctx, request)
    key, text = repository.key, repository.state.get(_PREVIEW)
    if text is None:
        raise ApiError(
            "LifecyclePolicyPreviewNotFoundException",
            f"Lifecycle policy preview does not exist for {names.place(key)}",
        )
    images = await Images(ctx.platform.database).all_of(repository.uid)
    expired = lifecycle.expiring(lifecycle.parse(text), images, ctx.now)
    shown = [each for each in expired if _is_wanted(request, each)]
    shown.sort(key=lambda each: each.image.digest)
    after, limit = names.after(request.get("nextToken")), request.get("maxResults") or _PAGE
    shown = [each for each in shown if each.image.digest > after]
    answer: Document = {
        **_answer(key, text),
        "status": "COMPLETE",
        "previewResults": [_result(each) for each in shown[:limit]],
        "summary": {"expiringImageTotalCount": len(expired)},
    }
    if len(shown) > limit:
        answer["nextToken"] = paging.encode(shown[limit - 1].image.digest)
    return answer


def _is_wanted(request: Document, expiry: lifecycle.Expiry) -> bool:
    image, wanted = expiry.image, request.get("imageIds")
    status = (request.get("filter") or {}).get("tagStatus", "ANY")
    if status != "ANY" and bool(image.tags) is not (status == "TAGGED"):
        return False
    return not wanted or any(
        each.get("imageDigest", image.digest) == image.digest
        and (each.get("imageTag") is None or each["imageTag"] in image.tags)
        for each in wanted
    )


def _result(expiry: lifecycle.Expiry) -> Document:
    image = expiry.image
    return {
        "imageTags": list(image.tags),
        "imageDigest": image.digest,
        "imagePushedAt": to_datetime(image.pushed),
        "action": {"type": "EXPIRE"},
        "appliedRulePriority": expiry.priority,
    }

"""AddTags, ListTags and DeleteTags, for every kind that has an ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wildsage.core import arn, paging
from wildsage.core.errors import ValidationError
from wildsage.kit.context import Context
from wildsage.kit.kind import Kind, tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.endpointconfigs.kind import ENDPOINT_CONFIG
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, TAGGED
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.services.sagemaker.processing.kind import PROCESSING_JOB
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.services.sagemaker.transform.kind import TRANSFORM_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Key, Query, Resource

MOST = 50
KINDS: Mapping[str, Kind] = {
    kind.resource_type: kind for kind in (TRAINING_JOB, PROCESSING_JOB, TRANSFORM_JOB, MODEL, ENDPOINT_CONFIG, ENDPOINT)
}


async def _find(ctx: Context, text: str) -> tuple[Kind, Resource]:
    """What an ARN names; ARNs hold the name in lower case, so it is looked for without regard to case."""
    try:
        parsed = arn.parse(text)
    except ValueError:
        raise ValidationError(f"The ARN {text} is not valid.") from None
    kind = KINDS.get(parsed.resource_type) if parsed.service == "sagemaker" else None
    if kind is None or parsed.account != ctx.account:
        raise ValidationError(f"The ARN {text} names nothing that can be tagged here.")
    name = parsed.resource_name
    page = Query(kind.name, parsed.account, parsed.region, name_contains=name, sort="name", descending=False)
    while True:
        found = await ctx.platform.resources.page(page)
        for each in found.items:
            if each.key.name.lower() == name.lower():
                return kind, each
        if found.following is None:
            raise kind.missing(text)
        page = Query(
            kind.name,
            parsed.account,
            parsed.region,
            name_contains=name,
            sort="name",
            descending=False,
            after=found.following,
        )


async def _retag(ctx: Context, key: Key, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
    tags = await ctx.platform.resources.retag(key, change)
    if key.kind == ENDPOINT.name:
        ctx.platform.hints.notify(TAGGED, f"{key.account} {key.region} {key.name}")
    return tags


@operation("AddTags")
async def add_tags(ctx: Context, request: Document) -> Document:
    _, found = await _find(ctx, request["ResourceArn"])
    added = tag_map(request["Tags"])

    def change(tags: dict[str, str]) -> dict[str, str]:
        changed = {**tags, **added}
        if len(changed) > MOST:
            raise ValidationError(f"A resource can have at most {MOST} tags; this would make {len(changed)}.")
        return changed

    return {"Tags": tag_list(await _retag(ctx, found.key, change))}


@operation("DeleteTags")
async def delete_tags(ctx: Context, request: Document) -> Document:
    _, found = await _find(ctx, request["ResourceArn"])
    without = frozenset(request["TagKeys"])
    await _retag(ctx, found.key, lambda tags: {name: value for name, value in tags.items() if name not in without})
    return {}


@operation("ListTags")
async def list_tags(ctx: Context, request: Document) -> Document:
    _, found = await _find(ctx, request["ResourceArn"])
    tags = tag_list(found.tags)
    try:
        start = paging.offset(request.get("NextToken"))
    except ValueError:
        raise ValidationError("The pagination token is not valid. Pass NextToken as the last answer gave it.") from None
    end = start + request.get("MaxResults", MOST)
    answer: Document = {"Tags": tags[start:end]}
    if end < len(tags):
        answer["NextToken"] = paging.encode(end)
    return answer

"""Tags of alarms and dashboards."""

from __future__ import annotations

from collections.abc import Callable

from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.kind import tag_list, tag_map
from wildsage.kit.operation import operation
from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.alarms.kind import ALARM_KIND
from wildsage.services.cloudwatch.dashboards import dashboard_key
from wildsage.store.codec import Document
from wildsage.store.resources import Key, Missing

_MOST = 50


def _key(ctx: Context, text: str) -> Key:
    """Raises InvalidParameterValue."""
    try:
        found = arn.parse(text)
    except ValueError:
        raise names.invalid(f"Invalid arn syntax: {text}") from None
    kind, _, name = found.resource.partition(":")
    if found.service == "cloudwatch" and kind == "alarm" and name:
        return Key(ALARM_KIND, found.account, found.region, name)
    if found.service == "cloudwatch" and found.resource_type == "dashboard":
        return dashboard_key(found.account, found.resource_name)
    raise names.invalid(f"{text} is neither an alarm nor a dashboard.")


def _missing(text: str) -> ApiError:
    return ApiError("ResourceNotFoundException", f"{text} not found", 404, {"ResourceId": text})


async def _retag(ctx: Context, text: str, change: Callable[[dict[str, str]], dict[str, str]]) -> Document:
    try:
        await ctx.platform.resources.retag(_own(ctx, text), change)
    except Missing:
        raise _missing(text) from None
    return {}


def _own(ctx: Context, text: str) -> Key:
    key = _key(ctx, text)
    if key.account != ctx.account or key.region not in ("", ctx.region):
        raise _missing(text)
    return key


@operation("TagResource")
async def tag_resource(ctx: Context, request: Document) -> Document:
    def change(tags: dict[str, str]) -> dict[str, str]:
        both = {**tags, **tag_map(request["Tags"])}
        if len(both) > _MOST:
            raise names.invalid(f"A resource can have {_MOST} tags at most.")
        return both

    return await _retag(ctx, request["ResourceARN"], change)


@operation("UntagResource")
async def untag_resource(ctx: Context, request: Document) -> Document:
    gone = set(request["TagKeys"])
    return await _retag(
        ctx, request["ResourceARN"], lambda tags: {key: value for key, value in tags.items() if key not in gone}
    )


@operation("ListTagsForResource")
async def list_tags_for_resource(ctx: Context, request: Document) -> Document:
    found = await ctx.platform.resources.get(_own(ctx, request["ResourceARN"]))
    if found is None:
        raise _missing(request["ResourceARN"])
    return {"Tags": tag_list(found.tags)}

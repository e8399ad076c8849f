"""Tags of functions."""

from __future__ import annotations

from collections.abc import Callable

from wildsage.core.errors import Unsupported
from wildsage.core.functions import parse_function_name
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.lambda_.names import arn_of, invalid, key_of, no_function
from wildsage.store.codec import Document
from wildsage.store.resources import Key, Missing

_MOST = 50


def _key(ctx: Context, request: Document) -> Key:
    resource: str = request["Resource"]
    if ":function:" not in resource:
        raise Unsupported(f"Wildsage has tags of functions alone, and {resource} is none.")
    key = key_of(ctx, parse_function_name(resource))
    if arn_of(key) != resource:
        raise invalid("Tags on function aliases and versions are not supported. Please specify either a function ARN.")
    return key


@operation("ListTags")
async def list_tags(ctx: Context, request: Document) -> Document:
    key = _key(ctx, request)
    function = await ctx.platform.resources.get(key)
    if function is None:
        raise no_function(key)
    return {"Tags": function.tags}


@operation("TagResource")
async def tag_resource(ctx: Context, request: Document) -> Document:
    def change(tags: dict[str, str]) -> dict[str, str]:
        merged = {**tags, **request["Tags"]}
        if len(merged) > _MOST:
            raise invalid(f"A function has at most {_MOST} tags.")
        return merged

    return await _retag(ctx, request, change)


@operation("UntagResource")
async def untag_resource(ctx: Context, request: Document) -> Document:
    gone = set(request["TagKeys"])
    return await _retag(ctx, request, lambda tags: {key: value for key, value in tags.items() if key not in gone})


async def _retag(ctx: Context, request: Document, change: Callable[[dict[str, str]], dict[str, str]]) -> Document:
    key = _key(ctx, request)
    try:
        await ctx.platform.resources.retag(key, change)
    except Missing:
        raise no_function(key) from None
    return {}

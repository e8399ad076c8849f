"""Names, ARNs and errors of topics and subscriptions."""

from __future__ import annotations

import re
from typing import Any

from wildsage.core import arn, paging
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.store.resources import Key, Resource

TOPIC = "sns-topic"
SUBSCRIPTION = "sns-subscription"
CONFIRMED = "Confirmed"
PENDING = "Pending"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")


def check_name(name: str, ordered: bool) -> None:
    """Raises InvalidParameter for a name that a new topic must not have."""
    if not _NAME.fullmatch(name):
        raise invalid("Topic Name")
    if ordered != name.endswith(".fifo"):
        raise invalid(
            "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII "
            "letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
        )


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameter", f"Invalid parameter: {message}")


def no_topic() -> ApiError:
    return ApiError("NotFound", "Topic does not exist", 404)


def no_subscription() -> ApiError:
    return ApiError("NotFound", "Subscription does not exist", 404)


def arn_of(resource: Resource) -> str:
    """Of a topic or a subscription."""
    return arn.build("sns", resource.key.region, resource.key.account, resource.key.name)


def is_ordered(topic_arn: str) -> bool:
    """Whether it is a FIFO topic."""
    return topic_arn.endswith(".fifo")


def key_of(kind: str, text: str, parameter: str) -> Key:
    """The key of an ARN. Raises InvalidParameter."""
    try:
        parsed = arn.parse(text)
    except ValueError:
        raise invalid(f"{parameter} Reason: An ARN must have at least 6 elements, not {text.count(':') + 1}") from None
    if parsed.service != "sns" or (":" in parsed.resource) != (kind == SUBSCRIPTION):
        raise invalid(f"{parameter} Reason: {text} is not the ARN of a {kind.removeprefix('sns-')}")
    return Key(kind, parsed.account, parsed.region, parsed.resource)


async def fetch_topic(platform: Platform, text: str, parameter: str = "TopicArn") -> Resource:
    """The topic of an ARN; raises NotFound or InvalidParameter."""
    found = await platform.resources.get(key_of(TOPIC, text, parameter))
    if found is None:
        raise no_topic()
    return found


async def fetch_subscription(ctx: Context, text: str) -> Resource:
    """The subscription of an ARN, of the caller's or to the caller's topic. Raises NotFound or InvalidParameter."""
    found = await ctx.platform.resources.get(key_of(SUBSCRIPTION, text, "SubscriptionArn"))
    if found is None or ctx.account not in (found.key.account, found.spec["Owner"]):
        raise no_subscription()
    return found


def position(token: str | None) -> tuple[Any, int] | None:
    """Where a List operation goes on; raises InvalidParameter."""
    try:
        return paging.position(token)
    except ValueError:
        raise invalid("NextToken Reason: it is not one of this operation's") from None


def is_signed(ctx: Context) -> bool:
    """Whether somebody known asks, rather than whoever has the link."""
    return ctx.caller.arn != "anonymous"


def base_url(ctx: Context) -> str:
    """Where the caller reached the server."""
    host = None if ctx.request is None else ctx.request.header("host")
    return ctx.platform.settings.url if host is None or ctx.request is None else f"{ctx.request.scheme}://{host}"

"""Scaling activities: what was scaled, or was not, and why.

The one under way is part of its target's state; those that are over are facts, written in the transaction that ends
them. They stay when the target is gone, as long as AWS keeps them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from wildsage.core import paging
from wildsage.kit.context import Context, Platform
from wildsage.kit.operation import operation
from wildsage.services.applicationautoscaling import names, pages
from wildsage.services.applicationautoscaling import target as targets
from wildsage.store.codec import Document
from wildsage.store.database import Write
from wildsage.store.facts import Fact, Window, appending
from wildsage.store.resources import Key

_KEPT_SECONDS = 42 * 86400.0
"""Six weeks (API reference, DescribeScalingActivities)."""
_OUR_OWN = ("Wanted", "Before", "Asked")


def begun(resource_id: str, description: str, cause: str, now: float) -> Document:
    """A new activity."""
    return {
        "ActivityId": str(uuid.uuid4()),
        **names.about(resource_id),
        "Description": description,
        "Cause": cause,
        "StartTime": round(now, 3),
        "StatusCode": "Pending",
    }


def ended(activity: Document, code: str, message: str, now: float) -> Document:
    """As history keeps it."""
    kept = {name: value for name, value in activity.items() if name not in _OUR_OWN}
    return {**kept, "StatusCode": code, "StatusMessage": message, "EndTime": round(now, 3)}


def kept(key: Key, activities: Sequence[Document], now: float) -> Write:
    """Adds what is over to the history, in the transaction of something else."""
    facts = [
        Fact(key.name, round(each["StartTime"] * 1000), round(now * 1000), json.dumps(each)) for each in activities
    ]
    return appending(_topic(key.account, key.region), facts)


async def forget(platform: Platform, key: Key) -> None:
    """Takes away what is older than AWS keeps it."""
    before = round((platform.clock.now() - _KEPT_SECONDS) * 1000)
    await platform.facts.forget(_topic(key.account, key.region), before=before)


def _topic(account: str, region: str) -> str:
    return f"scaling:{account}:{region}"


@operation("DescribeScalingActivities")
async def describe_scaling_activities(ctx: Context, request: Document) -> Document:
    """The newest first; those that changed nothing only where that is asked for."""
    names.check_namespace(request)
    most = pages.limit(request)
    try:
        place = paging.moment(request.get("NextToken"))
    except ValueError:
        raise pages.bad_token() from None
    under_way = [each for each in await _under_way(ctx, request) if place is None or each[0] < place]
    over = await _over(ctx, request, place, most + 1)
    found = sorted([*under_way, *over], key=lambda each: each[0], reverse=True)
    answer: Document = {"ScalingActivities": [activity for _, activity in found[:most]]}
    if len(found) > most:
        answer["NextToken"] = paging.encode(found[most - 1][0])
    return answer


_Placed = tuple[tuple[int, int], Document]
"""An activity behind its place: when it began, in milliseconds, and a number among those that began with it."""


async def _under_way(ctx: Context, request: Document) -> list[_Placed]:
    there = [each for each in await targets.all_in(ctx) if request.get("ResourceId") in (None, each.key.name)]
    found = [each.state["activity"] for each in there if "activity" in each.state]
    return [
        (
            (round(each["StartTime"] * 1000), uuid.UUID(each["ActivityId"]).int >> 65),
            {name: value for name, value in each.items() if name not in _OUR_OWN},
        )
        for each in found
    ]


async def _over(ctx: Context, request: Document, place: tuple[int, int] | None, most: int) -> list[_Placed]:
    """At least ``most`` of the history behind ``place``, the newest first, if there are so many."""
    wanted, since = request.get("ResourceId"), round((ctx.now - _KEPT_SECONDS) * 1000)
    found: list[_Placed] = []
    while len(found) < most:
        window = Window(
            _topic(ctx.account, ctx.region), (wanted,) if wanted else (), since, after=place, backward=True, limit=200
        )
        facts = await ctx.platform.facts.read(window)
        for fact in facts:
            place, activity = (fact.at, fact.number), json.loads(fact.body)
            if request.get("IncludeNotScaledActivities") or "NotScaledReasons" not in activity:
                found.append((place, activity))
        if len(facts) < window.limit:
            break
    return found

"""What policies say of one action plainly: in patterns of resources, whatever else is known of the request."""

from __future__ import annotations

from collections.abc import Iterable

from wildsage.access.policies import Policy


def plainly(policies: Iterable[Policy], action: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Resources for which policies allow an action without conditions, and for which they may deny it."""
    allow: list[str] = []
    deny: list[str] = []
    for policy in policies:
        for statement in policy.statements:
            if not statement.actions.holds(action, {}):
                continue
            resources = statement.resources
            words = () if resources is None else resources.words
            plain = resources is not None and not resources.opposite and not any("${" in word for word in words)
            if not statement.allow:
                deny += words if plain else ("*",)
            elif plain and not statement.conditions:
                allow += words
    return tuple(allow), tuple(deny)

"""What policies say of single actions, taken out of them for those who decide far from where they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from wildsage.access.policies import Policy, Statement


def plainly(policies: Iterable[Policy], action: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Resources for which identity policies allow an action without conditions, and for which they may deny it."""
    allow: list[str] = []
    deny: list[str] = []
    for policy in policies:
        for statement in policy.statements:
            if not statement.actions.holds(action, {}):
                continue
            words = _words(statement)
            if not statement.allow:
                deny += ("*",) if words is None else words
            elif words is not None and not statement.conditions:
                allow += words
    return tuple(allow), tuple(deny)


def about(policies: Iterable[Policy], actions: Sequence[str]) -> str:
    """All that identity policies say of ``actions`` in one document; empty if that is nothing."""
    found = []
    for policy in policies:
        for statement in policy.statements:
            named = [action for action in actions if statement.actions.holds(action, {})]
            resources = statement.resources
            if not named or resources is None:
                continue
            written: dict[str, object] = {
                "Effect": "Allow" if statement.allow else "Deny",
                "Action": named,
                "NotResource" if resources.opposite else "Resource": resources.words,
            }
            if statement.condition:
                written["Condition"] = json.loads(statement.condition)
            found.append(written)
    return json.dumps({"Version": "2012-10-17", "Statement": found}) if found else ""


def steady(policies: Iterable[Policy]) -> bool:
    """Whether what policies say depends on action and resource alone, whoever asks when and how."""
    return not any(
        statement.conditions
        or (statement.resources is not None and any("${" in word for word in statement.resources.words))
        for policy in policies
        for statement in policy.statements
    )


def _words(statement: Statement) -> tuple[str, ...] | None:
    """The patterns of its resources; None where there is more to it than these."""
    resources = statement.resources
    if resources is None or resources.opposite or any("${" in word for word in resources.words):
        return None
    return resources.words

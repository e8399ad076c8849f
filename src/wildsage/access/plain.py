"""What policies say of one action plainly: in patterns of resources, whatever else is known of the request.

Besides, what they say under conditions on a few keys of the request alone, which whoever reads the request can decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wildsage.access.policies import Policy, Statement

NO_KEYS: frozenset[str] = frozenset()


class Conditional(NamedTuple):
    """A statement with a condition on keys that are known. ``condition``: the Condition element, JSON."""

    allow: bool
    resources: tuple[str, ...]
    condition: str


def plainly(
    policies: Iterable[Policy], action: str, known: frozenset[str] = NO_KEYS
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Resources for which policies allow an action without conditions, and for which they may deny it.

    What they deny by keys that are ``known`` is not among the latter: see ``conditionally``.
    """
    allow: list[str] = []
    deny: list[str] = []
    for statement in _about(policies, action):
        words = _words(statement)
        if not statement.allow:
            if not _decidable(statement, known):
                deny += ("*",) if words is None else words
        elif words is not None and not statement.conditions:
            allow += words
    return tuple(allow), tuple(deny)


def conditionally(policies: Iterable[Policy], action: str, known: frozenset[str]) -> tuple[Conditional, ...]:
    """The statements about an action whose conditions are on keys of ``known`` (lower case) and on nothing else."""
    found = []
    for statement in _about(policies, action):
        words = _words(statement)
        if words is not None and _decidable(statement, known):
            found.append(Conditional(statement.allow, words, statement.condition))
    return tuple(found)


def _about(policies: Iterable[Policy], action: str) -> Iterator[Statement]:
    for policy in policies:
        for statement in policy.statements:
            if statement.actions.holds(action, {}):
                yield statement


def _words(statement: Statement) -> tuple[str, ...] | None:
    """The patterns of its resources; None where there is more to it than these."""
    resources = statement.resources
    if resources is None or resources.opposite or any("${" in word for word in resources.words):
        return None
    return resources.words


def _decidable(statement: Statement, known: frozenset[str]) -> bool:
    if not known or not statement.condition or "${" in statement.condition or _words(statement) is None:
        return False
    return all(key.lower() in known for keys in json.loads(statement.condition).values() for key in keys)

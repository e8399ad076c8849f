"""Policy documents, compiled: JSON text in, statements that can be asked quickly out.

Source: IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wildsage.access.conditions import Condition, PolicyError, compile_conditions
from wildsage.access.patterns import Context, Matcher, action_matcher, matcher

_NOTHING: Context = {}
_NEW, _OLD = "2012-10-17", "2008-10-17"
"""Versions of the language; in the old one, which a document without Version has, ``${aws:username}`` is plain text."""


class Use(Enum):
    """Where a document stands, which decides what its statements need: (a principal, a resource)."""

    IDENTITY = (False, True)
    RESOURCE = (True, True)
    TRUST = (True, False)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, for the Principal element.

    ``kind``: ``AWS`` or ``Service``. ``names``: every ARN that names the caller itself. ``account``: the ARN that names
    its whole account, which denies it but allows nothing by itself.
    """

    kind: str
    names: frozenset[str]
    account: str = ""

    def as_account(self) -> Principal:
        """The principal seen as one of its account."""
        return Principal(self.kind, self.names | {self.account})


@dataclass(frozen=True, slots=True)
class Match:
    """A list of patterns, or the opposite of it (``NotAction`` and the like)."""

    patterns: tuple[Matcher, ...]
    opposite: bool
    words: tuple[str, ...]

    def holds(self, value: str, context: Context) -> bool:
        return any(pattern(value, context) for pattern in self.patterns) is not self.opposite


@dataclass(frozen=True, slots=True)
class _Principals:
    """``anyone``, or names by kind."""

    names: Mapping[str, frozenset[str]]
    opposite: bool

    def holds(self, principal: Principal, allow: bool) -> bool:
        wanted = self.names.get(principal.kind, frozenset())
        found = "*" in wanted or bool(wanted & principal.names)
        if principal.account in wanted and allow is self.opposite:
            found = True
        return found is not self.opposite


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``allow``: its Effect. ``condition``: its Condition as it is written, JSON; empty without one."""

    allow: bool
    actions: Match
    resources: Match | None
    principals: _Principals | None
    conditions: tuple[Condition, ...]
    condition: str = ""

    def applies(self, action: str, resource: str, context: Context, principal: Principal | None = None) -> bool:
        """Whether the statement speaks of this request."""
        return (
            self.actions.holds(action, _NOTHING)
            and (self.resources is None or self.resources.holds(resource, context))
            and (self.principals is None or (principal is not None and self.principals.holds(principal, self.allow)))
            and all(condition(context) for condition in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled document."""

    statements: tuple[Statement, ...]


def _strings(raw: Any, element: str) -> tuple[str, ...]:
    items = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(item, str) for item in items):
        raise PolicyError(f"{element} must be a string or a list of strings")
    return tuple(items)


def _either(statement: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool] | None:
    """The values of ``name`` or ``Notname`` and whether it was the latter; None if there is neither."""
    given = [key for key in (name, f"Not{name}") if key in statement]
    if len(given) > 1:
        raise PolicyError(f"a statement may not have both {name} and Not{name}")
    if not given:
        return None
    return _strings(statement[given[0]], given[0]), given[0] != name


def _actions(statement: Mapping[str, Any]) -> Match:
    found = _either(statement, "Action")
    if found is None:
        raise PolicyError("a statement must have Action or NotAction")
    for word in found[0]:
        if word != "*" and ":" not in word:
            raise PolicyError(f"the action {word!r} must be * or start with a service and a colon")
    return Match(tuple(action_matcher(word) for word in found[0]), found[1], found[0])


def _resources(statement: Mapping[str, Any], use: Use) -> Match | None:
    found = _either(statement, "Resource")
    if found is None:
        if use.value[1]:
            raise PolicyError("a statement must have Resource or NotResource")
        return None
    if not use.value[1]:
        raise PolicyError("a trust policy has no Resource")
    for word in found[0]:
        if word != "*" and not word.startswith(("arn:", "*", "${")):
            raise PolicyError(f"the resource {word!r} must be an ARN or *")
    return Match(tuple(matcher(word) for word in found[0]), found[1], found[0])


def _account_forms(name: str) -> set[str]:
    """An account is named by its id or by its root's ARN."""
    if name.isdigit() and len(name) == 12:
        return {f"arn:aws:iam::{name}:root"}
    return {name}


def _principals(statement: Mapping[str, Any], use: Use) -> _Principals | None:
    given = [key for key in ("Principal", "NotPrincipal") if key in statement]
    if not use.value[0]:
        if given:
            raise PolicyError("an identity policy has no Principal")
        return None
    if len(given) != 1:
        raise PolicyError("a statement must have Principal or NotPrincipal")
    raw = statement[given[0]]
    if raw == "*":
        raw = {"AWS": "*"}
    if not isinstance(raw, Mapping):
        raise PolicyError(f"{given[0]} must be * or an object")
    names = {
        kind: frozenset(form for name in _strings(value, given[0]) for form in _account_forms(name))
        for kind, value in raw.items()
    }
    if use is Use.RESOURCE and "*" in names.get("AWS", ()):
        # Everyone, services too: that is why Deny statements for * need aws:PrincipalIsAWSService (IAM User Guide).
        names["Service"] = frozenset({"*"})
    return _Principals(names, given[0] != "Principal")


def _statement(raw: Any, use: Use) -> Statement:
    if not isinstance(raw, Mapping):
        raise PolicyError("a statement must be an object")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("the Effect of a statement must be Allow or Deny")
    return Statement(
        allow=raw["Effect"] == "Allow",
        actions=_actions(raw),
        resources=_resources(raw, use),
        principals=_principals(raw, use),
        conditions=compile_conditions(raw.get("Condition", {})),
        condition=json.dumps(raw["Condition"]) if raw.get("Condition") else "",
    )


@functools.lru_cache(maxsize=4096)
def compile_policy(text: str, use: Use = Use.IDENTITY) -> Policy:
    """The policy of JSON ``text``; raises PolicyError, whose words say what is wrong."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"the document is not JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise PolicyError("the document must be an object")
    version = document.get("Version", _OLD)
    if version not in (_NEW, _OLD):
        raise PolicyError(f"the Version must be {_NEW} or {_OLD}")
    if version == _OLD:
        document = json.loads(json.dumps(document).replace("${", "${$}{"))  # of what its escapes stand for
    raw = document.get("Statement")
    statements = raw if isinstance(raw, list) else [raw]
    if not statements or raw is None:
        raise PolicyError("the document must have a Statement")
    return Policy(tuple(_statement(each, use) for each in statements))

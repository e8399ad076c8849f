"""AlarmRule, the expression of a composite alarm. Pure.

Source: API reference, PutCompositeAlarm. ``ALARM("a") AND NOT (OK(b) OR FALSE)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.alarms.decision import ALARM, INSUFFICIENT, OK

_TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"(?P<quoted>[^\"]+)\"|'(?P<single>[^']+)'|(?P<bare>[^()]+?))"
    r"\s*\)|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<mark>[()]))"
)
_MOST_ALARMS = 100
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Is:
    """Whether an alarm, by its name, is in a state."""

    alarm: str
    state: str


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class Not:
    rule: Rule


@dataclass(frozen=True, slots=True)
class Every:
    """AND."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """OR."""

    rules: tuple[Rule, ...]


Rule = Is | Constant | Not | Every | Some


def holds(rule: Rule, states: Mapping[str, str]) -> bool:
    """Given the states of alarms by name; one that is not there is in no state."""
    match rule:
        case Is(alarm, state):
            return states.get(alarm) == state
        case Constant(value):
            return value
        case Not(inner):
            return not holds(inner, states)
        case Every(rules):
            return all(holds(each, states) for each in rules)
        case Some(rules):
            return any(holds(each, states) for each in rules)


def children(rule: Rule) -> set[str]:
    """The alarms it is about."""
    match rule:
        case Is(alarm, _):
            return {alarm}
        case Constant():
            return set()
        case Not(inner):
            return children(inner)
        case Every(rules) | Some(rules):
            return set().union(*map(children, rules))


def parse(text: str) -> Rule:
    """Raises ValidationError."""
    parser = _Parser(text)
    rule = parser.either(0)
    parser.expect_end()
    if len(children(rule)) > _MOST_ALARMS:
        raise names.refused(f"AlarmRule must not be about more than {_MOST_ALARMS} alarms.")
    return rule


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def either(self, depth: int) -> Rule:
        rules = [self._both(depth)]
        while self._take("OR"):
            rules.append(self._both(depth))
        return rules[0] if len(rules) == 1 else Some(tuple(rules))

    def expect_end(self) -> None:
        if self._text[self._at :].strip():
            raise self._wrong()

    def _both(self, depth: int) -> Rule:
        rules = [self._single(depth)]
        while self._take("AND"):
            rules.append(self._single(depth))
        return rules[0] if len(rules) == 1 else Every(tuple(rules))

    def _single(self, depth: int) -> Rule:
        if depth > _DEEPEST:
            raise names.refused("AlarmRule is nested too deeply.")
        if self._take("NOT"):
            return Not(self._single(depth + 1))
        for word in ("TRUE", "FALSE"):
            if self._take(word):
                return Constant(word == "TRUE")
        if self._take("("):
            inside = self.either(depth + 1)
            if not self._take(")"):
                raise self._wrong()
            return inside
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["state"] is None:
            raise self._wrong()
        self._at = found.end()
        name = found["quoted"] or found["single"] or found["bare"]
        return Is(name.rpartition(":alarm:")[2] if name.startswith("arn:") else name, found["state"])

    def _take(self, token: str) -> bool:
        found = _TOKEN.match(self._text, self._at)
        if found is None or token not in (found["word"], found["mark"]):
            return False
        self._at = found.end()
        return True

    def _wrong(self) -> Exception:
        return names.refused(
            f"AlarmRule cannot be read at position {self._at + 1}: it is made of {ALARM}(name), {OK}(name), "
            f"{INSUFFICIENT}(name), TRUE, FALSE, AND, OR, NOT and parentheses."
        )

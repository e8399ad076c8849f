"""Which objects somebody may plainly read or write, compiled for the hot path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from wildsage.access.patterns import expression
from wildsage.core.routes import Permission


@dataclass(slots=True)
class Rule:
    """A Permission with its patterns compiled; decisions are remembered per ARN."""

    allow: re.Pattern[str]
    deny: re.Pattern[str]
    within: re.Pattern[str] | None
    decided: dict[str, bool] = field(default_factory=dict)

    def allows(self, arn: str) -> bool:
        decision = self.decided.get(arn)
        if decision is None:
            decision = self._decide(arn)
            if len(self.decided) < 10_000:
                self.decided[arn] = decision
        return decision

    def _decide(self, arn: str) -> bool:
        if self.deny.fullmatch(arn) or (self.within is not None and not self.within.fullmatch(arn)):
            return False
        return self.allow.fullmatch(arn) is not None


def rule_of(permission: Permission) -> Rule:
    within = None if permission.within is None else _any_of(permission.within)
    return Rule(_any_of(permission.allow), _any_of(permission.deny), within)


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for patterns with ``*`` and ``?``; without patterns it matches nothing."""
    return re.compile("|".join(map(expression, patterns)) if patterns else r"(?!)", re.DOTALL)

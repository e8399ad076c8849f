"""Who may do what, compiled for the hot path."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wildsage.access.asking import moment, transport
from wildsage.access.conditions import Condition, compile_conditions
from wildsage.access.patterns import Context, expression
from wildsage.core.multimodel import below
from wildsage.core.routes import Permission
from wildsage.wire.http.messages import Request

_TARGETS = {
    "x-amzn-sagemaker-target-container-hostname": "sagemaker:targetcontainerhostname",
    "x-amzn-sagemaker-target-model": "sagemaker:targetmodel",
}


class _Conditional(NamedTuple):
    """A statement that counts where its conditions hold."""

    allow: bool
    resources: re.Pattern[str]
    conditions: tuple[Condition, ...]

    def holds(self, context: Context) -> bool:
        return all(condition(context) for condition in self.conditions)


@dataclass(slots=True)
class Rule:
    """A Permission with its patterns compiled; decisions that depend on the ARN alone are remembered per ARN."""

    allow: re.Pattern[str]
    deny: re.Pattern[str]
    within: re.Pattern[str] | None
    conditional: tuple[_Conditional, ...] = ()
    decided: dict[str, bool] = field(default_factory=dict)

    def allows(self, arn: str, request: Request | None = None, region: str = "", now: float = 0.0) -> bool:
        """``request``: what says how and what is targeted, in ``region`` at ``now`` (epoch seconds)."""
        if self.conditional:
            return self._decide(arn, request, region, now)
        decision = self.decided.get(arn)
        if decision is None:
            decision = self._decide(arn)
            if len(self.decided) < 10_000:
                self.decided[arn] = decision
        return decision

    def _decide(self, arn: str, request: Request | None = None, region: str = "", now: float = 0.0) -> bool:
        if self.deny.fullmatch(arn) or (self.within is not None and not self.within.fullmatch(arn)):
            return False
        if not self.conditional:
            return self.allow.fullmatch(arn) is not None
        asking, headers = moment(region, now), () if request is None else request.headers
        if request is not None:
            asking |= transport(request.scheme, request.peer, request.header)
        targets = {_TARGETS[name]: (value,) for name, value in headers if name in _TARGETS}
        said = asking | targets
        meant = asking | {key: (below(value),) for key, (value,) in targets.items()}
        speaking = {
            each.allow
            for each in self.conditional
            # What somebody may not have, they may not have by either of its names.
            if each.resources.fullmatch(arn) and (each.holds(meant) or (not each.allow and each.holds(said)))
        }
        return False not in speaking and (True in speaking or self.allow.fullmatch(arn) is not None)


def rule_of(permission: Permission) -> Rule:
    within = None if permission.within is None else _any_of(permission.within)
    conditional = tuple(
        _Conditional(allow, _any_of(words), compile_conditions(json.loads(condition)))
        for allow, words, condition in permission.conditional
    )
    return Rule(_any_of(permission.allow), _any_of(permission.deny), within, conditional)


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for patterns with ``*`` and ``?``; without patterns it matches nothing."""
    return re.compile("|".join(map(expression, patterns)) if patterns else r"(?!)", re.DOTALL)

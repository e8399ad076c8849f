"""How an endpoint moves from one fleet to the next: pure functions of where it stands, what is seen, and the time.

Sources: API reference, DeploymentConfig and what is below it; Developer Guide, "Deployment guardrails". A new fleet
takes the traffic in batches. Each batch is brought up, gets its traffic, and bakes for WaitIntervalInSeconds while
alarms are watched; the last bakes for TerminationWaitInSeconds more. In a blue/green update the new fleet is whole
before the first batch, and the old one stays whole until the end; in a rolling update each batch is made of new
instances, and once it has baked as much of the old fleet goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from wildsage.store.codec import Document

Place = tuple[int, str]
"""Number of a fleet, name of one of its variants."""

Counts = Mapping[Place, int]
"""How many instances; at least one each. Of an asynchronous endpoint that is scaled to zero it is empty."""

ALARM_SECONDS = 2.0
"""How often alarms are looked at."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Size:
    """A CapacitySize. In instances it is of each variant; a part of an instance is not one, but one is the least."""

    type: str
    value: int

    def of(self, count: int) -> int:
        """Instances of a variant that has ``count``."""
        wanted = self.value if self.type == "INSTANCE_COUNT" else math.floor(count * self.value / 100 + _ROUNDING)
        return max(1, min(wanted, count))

    def part(self, counts: Counts) -> float:
        """As a part of the traffic. A number of instances is the part that it is of the largest variant."""
        return min(self.value / (100 if self.type == "CAPACITY_PERCENT" else max(counts.values())), 1.0)


WHOLE = Size("CAPACITY_PERCENT", 100)


@dataclass(frozen=True, slots=True)
class Policy:
    """A DeploymentConfig, read. ``step``: the first part of the traffic, or each (``repeated``), or all (WHOLE)."""

    rolling: bool = False
    step: Size = WHOLE
    repeated: bool = True
    wait: float = 0.0
    termination_wait: float = 0.0
    limit: float | None = None
    back: Size = WHOLE
    alarms: tuple[str, ...] = ()


def policy_of(document: Document) -> Policy:
    """What a DeploymentConfig asks for; of an empty one all at once, as AWS does."""
    watched = (document.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    alarms = tuple(each["AlarmName"] for each in watched if each.get("AlarmName"))
    if rolling := document.get("RollingUpdatePolicy"):
        return Policy(
            rolling=True,
            step=_size(rolling["MaximumBatchSize"]),
            wait=float(rolling["WaitIntervalInSeconds"]),
            limit=rolling.get("MaximumExecutionTimeoutInSeconds"),
            back=_size(rolling.get("RollbackMaximumBatchSize")),
            alarms=alarms,
        )
    green = document.get("BlueGreenUpdatePolicy")
    if not green:
        return Policy(alarms=alarms)
    shifting = green["TrafficRoutingConfiguration"]
    sizes = {"CANARY": shifting.get("CanarySize"), "LINEAR": shifting.get("LinearStepSize")}
    return Policy(
        step=_size(sizes.get(shifting["Type"])),
        repeated=shifting["Type"] != "CANARY",
        wait=float(shifting["WaitIntervalInSeconds"]),
        termination_wait=float(green.get("TerminationWaitInSeconds") or 0),
        limit=green.get("MaximumExecutionTimeoutInSeconds"),
        alarms=alarms,
    )


def _size(document: Mapping[str, Any] | None) -> Size:
    return WHOLE if document is None else Size(document["Type"], document["Value"])


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where an update stands; kept in the endpoint's state. Times: epoch seconds.

    ``batch``: the one under way, from 1. ``on``: its traffic is turned on. ``since``: when routers began to act on
    that, None before. ``changed``: when any of this last changed. ``reason``: why it goes back; empty while it goes on.
    ``share``, ``rest``: when it turned back, the part of the traffic that the new fleet had and the part of the old
    fleet's instances that were left.
    """

    policy: Document
    began: float
    changed: float
    batch: int = 1
    on: bool = False
    since: float | None = None
    reason: str = ""
    share: float = 0.0
    rest: float = 1.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen. ``up``: all instances serve that the plan wants of the fleet that is brought up (``rising``).

    ``published``: routers act on the plan. ``alarms``: those of the policy that are in ALARM.
    """

    up: bool
    published: bool
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What there shall be. ``share``: the new fleet's part of the traffic. ``rising``: whose instances decide."""

    wanted: Mapping[Place, int]
    share: float
    rising: frozenset[Place]


class End(StrEnum):
    """How a rollout is over."""

    DONE = "the new fleet has everything"
    UNDONE = "the old fleet has everything again"


def share_of(policy: Policy, new: Counts, batch: int) -> float:
    """The new fleet's part of the traffic once ``batch`` batches have theirs."""
    if batch <= 0:
        return 0.0
    if policy.rolling:
        return min((min(1.0, batch * policy.step.of(count) / count) for count in new.values()), default=1.0)
    if not policy.repeated:
        return policy.step.part(new) if batch == 1 else 1.0
    part = batch * policy.step.part(new)
    return part if part < 1 - _ROUNDING else 1.0


def plan(rollout: Rollout, old: Counts, new: Counts) -> Plan:
    """What there shall be of both fleets, which have ``old`` and ``new`` instances when they are whole."""
    policy = policy_of(rollout.policy)
    if rollout.reason:
        return _plan_back(rollout, policy, old, new)
    before, after = (share_of(policy, new, number) for number in (rollout.batch - 1, rollout.batch))
    share, rising = after if rollout.on else before, frozenset(new)
    if not policy.rolling:
        return Plan({**old, **new}, share, rising)
    batch = {place: min(count, rollout.batch * policy.step.of(count)) for place, count in new.items()}
    return Plan({**_part(old, 1 - before), **batch}, share, rising)


def _plan_back(rollout: Rollout, policy: Policy, old: Counts, new: Counts) -> Plan:
    if not policy.rolling:
        return Plan({**old, **new}, 0.0, frozenset())
    there = _part(old, rollout.rest)
    wanted = {place: min(old[place], there[place] + rollout.batch * policy.back.of(old[place])) for place in old}
    had = {place: min(old[place], there[place] + (rollout.batch - 1) * policy.back.of(old[place])) for place in old}
    capacity = min(((wanted if rollout.on else had)[place] / old[place] for place in old), default=1.0)
    left = 1 - min((had[place] / old[place] for place in old), default=1.0)
    return Plan({**wanted, **_part(new, left)}, min(rollout.share, 1 - capacity), frozenset(old))


def _part(counts: Counts, part: float) -> dict[Place, int]:
    return {place: math.ceil(count * part - _ROUNDING) for place, count in counts.items()}


def turned_back(rollout: Rollout, new: Counts, reason: str, now: float) -> Rollout:
    """The same on its way back to the old fleet; once it is, the first reason counts."""
    if rollout.reason:
        return rollout
    policy = policy_of(rollout.policy)
    before, after = (share_of(policy, new, number) for number in (rollout.batch - 1, rollout.batch))
    return replace(
        rollout,
        reason=reason,
        batch=1,
        on=not policy.rolling,
        since=None,
        changed=now,
        share=after if rollout.on else before,
        rest=1 - before,
    )


def advance(
    rollout: Rollout, old: Counts, new: Counts, facts: Facts, now: float
) -> tuple[Rollout, End | None, float | None]:
    """Where it stands next, whether it is over, and when to look again if nothing happens before (None: never)."""
    policy = policy_of(rollout.policy)
    if not rollout.reason and (reason := _fault(rollout, policy, facts, now)):
        return turned_back(rollout, new, reason, now), None, None
    if not rollout.on:
        if facts.up:
            return replace(rollout, on=True, changed=now), None, None
        return rollout, None, _look(rollout, policy, now)
    if not facts.published:
        return rollout, None, None
    if rollout.since is None:
        return replace(rollout, since=now, changed=now), None, None
    if rollout.reason:
        over = not policy.rolling or plan(rollout, old, new).share <= 0
        end, wait = End.UNDONE, 0.0
    else:
        over = share_of(policy, new, rollout.batch) >= 1
        end, wait = End.DONE, policy.wait + (policy.termination_wait if over else 0.0)
    if now < rollout.since + wait:
        return rollout, None, _look(rollout, policy, now, rollout.since + wait)
    if over:
        return rollout, end, None
    return replace(rollout, batch=rollout.batch + 1, on=False, since=None, changed=now), None, None


def _fault(rollout: Rollout, policy: Policy, facts: Facts, now: float) -> str:
    """Why the update must turn back; empty if all is well."""
    if facts.alarms:
        names = ", ".join(facts.alarms)
        return f"The update was rolled back: CloudWatch alarms in the ALARM state during the deployment: {names}."
    if policy.limit is not None and now >= rollout.began + policy.limit:
        return (
            "The update was rolled back: it was not complete after the MaximumExecutionTimeoutInSeconds of its "
            f"deployment configuration ({policy.limit:g} s)."
        )
    return ""


def _look(rollout: Rollout, policy: Policy, now: float, *moments: float) -> float | None:
    found = list(moments)
    if not rollout.reason:
        if policy.limit is not None:
            found.append(rollout.began + policy.limit)
        if policy.alarms:
            found.append(now + ALARM_SECONDS)
    return min(found, default=None)

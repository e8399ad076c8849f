"""How the state of an endpoint moves: what is missing, what is too much, what an event changes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from wildsage.services.sagemaker.endpoints import rollout as rollouts
from wildsage.services.sagemaker.endpoints.fleet import (
    ENDING,
    FILLED,
    LAUNCHED,
    PLANNED,
    RETIRED,
    SERVING,
    Fleet,
    Instance,
    Part,
    State,
    Variant,
)
from wildsage.services.sagemaker.endpoints.rollout import End, Facts, Place, Plan, Rollout
from wildsage.store.codec import Document

DRAIN_SECONDS = 500.0
"""How long a retired instance is waited for at most; a router gives no request more than eight minutes."""

QUEUED_DRAIN_SECONDS = 3700.0
"""The same of an asynchronous endpoint: InvocationTimeoutSeconds is an hour at most."""

STOP_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL (Developer Guide, "How SageMaker Runs Your Inference Image")."""

_FIRST_BACK_OFF = 0.5
_LAST_BACK_OFF = 60.0
_STEADY_SECONDS = 60.0
_ORDER = {stage: number for number, stage in enumerate((SERVING, LAUNCHED, FILLED, PLANNED))}


def old_counts(state: State) -> dict[Place, int]:
    """How many instances there are of what serves when it is whole."""
    return {place: count for part in state.serving for place, count in part.fleet.counts.items()}


def plan_of(state: State, rollout: Rollout) -> Plan:
    """What there shall be while one fleet takes over from another."""
    return rollouts.plan(rollout, old_counts(state), state.target.counts)


def wanted(state: State) -> dict[Place, int]:
    """How many instances there shall be."""
    if state.failed:
        return {}
    if state.rollout is not None:
        return dict(plan_of(state, state.rollout).wanted)
    old, new = old_counts(state), state.target.counts
    if not state.serving or len(state.serving) > 1:
        return old or new
    return {place: max(old.get(place, 0), new.get(place, 0)) for place in {**old, **new}}


def _there(state: State) -> Counter[Place]:
    return Counter(each.place for each in state.of(PLANNED, FILLED, LAUNCHED, SERVING))


def missing(state: State) -> list[Place]:
    """A place for each instance that is wanted and not there yet; a fleet that is given up gets none."""
    there = _there(state)
    given_up = state.rollout is not None and state.rollout.reason != ""
    return [
        place
        for place, count in wanted(state).items()
        if not (given_up and place[0] == state.target.number)
        for _ in range(count - there[place])
    ]


def retire_surplus(state: State, now: float) -> bool:
    """Retires what is not wanted, what does not serve yet first, then the youngest; whether there was anything."""
    wants = wanted(state)
    given_up = state.rollout is not None and state.rollout.reason != ""
    places: dict[Place, list[Instance]] = {}
    for each in state.of(PLANNED, FILLED, LAUNCHED, SERVING):
        places.setdefault(each.place, []).append(each)
    surplus = []
    for place, instances in places.items():
        instances.sort(key=lambda each: (_ORDER[each.stage], each.since))
        surplus += instances[wants.get(place, 0) :]
        if given_up and place[0] == state.target.number:
            surplus += [each for each in instances[: wants.get(place, 0)] if each.stage != SERVING]
    retire(state, surplus, now)
    return bool(surplus)


def retire(state: State, instances: Iterable[Instance], now: float) -> None:
    """No request goes there any more once routers were told; who never served is ended at once."""
    patience = QUEUED_DRAIN_SECONDS if state.target.asynchronous else DRAIN_SECONDS
    for each in instances:
        if each.stage == SERVING:
            state.put(replace(each, stage=RETIRED, deadline=now + patience))
            state.unpublished = True
        elif each.stage not in (RETIRED, ENDING):
            state.put(ending(each, now))


def ending(instance: Instance, now: float) -> Instance:
    """The same, to be stopped."""
    return replace(instance, stage=ENDING, deadline=now + STOP_GRACE)


def up(state: State, places: Iterable[Place], counts: dict[Place, int]) -> bool:
    """Whether as many instances as ``counts`` says serve at all the places."""
    return all(len(state.serving_at(place)) >= counts.get(place, 0) for place in places)


def switch(state: State, now: float) -> None:
    """The target, all of whose instances are up, is what serves from now on; the rest is retired."""
    state.former += tuple(part.fleet for part in state.serving if part.fleet.number != state.target.number)
    state.serving = (Part(state.target),)
    state.rollout = None
    state.failures = 0
    state.unpublished = True
    retire_surplus(state, now)


def settle(state: State) -> bool:
    """Whether a target that needs no rollout is up: the first, or the one that serves with other capacities."""
    counts = state.target.counts
    return state.rollout is None and len(state.serving) < 2 and not state.settled and up(state, counts, counts)


def withdraw(state: State, now: float) -> None:
    """The target is given up: what serves is wished again."""
    if state.target.number != state.serving[0].fleet.number:
        state.former += (state.target,)
    state.target = state.serving[0].fleet
    state.rollout = None
    state.unpublished = True
    retire_surplus(state, now)


def begin(state: State, target: Fleet, policy: Document, now: float) -> None:
    """An update to another fleet."""
    state.target = target
    state.rollout = Rollout(policy, began=now, changed=now)


def advance(state: State, rollout: Rollout, alarms: tuple[str, ...], now: float) -> tuple[End | None, float | None]:
    """One step of a rollout; how it ended, if it did, and when to look again."""
    old, new = old_counts(state), state.target.counts
    before = rollouts.plan(rollout, old, new)
    facts = Facts(up(state, before.rising, dict(before.wanted)), not state.unpublished, alarms)
    state.rollout, end, look = rollouts.advance(rollout, old, new, facts, now)
    if end is End.DONE:
        switch(state, now)
    elif end is End.UNDONE:
        withdraw(state, now)
    elif rollouts.plan(state.rollout, old, new).share != before.share:
        state.unpublished = True
    return end, look


def turn_back(state: State, rollout: Rollout, reason: str, now: float) -> None:
    """The update goes back to what serves; ``reason`` becomes the endpoint's FailureReason."""
    state.rollout = rollouts.turned_back(rollout, state.target.counts, reason, now)
    state.unpublished = True


def stuck(state: State, rollout: Rollout, now: float) -> None:
    """The way back failed too: both fleets stay, with what they have (EndpointStatus UpdateRollbackFailed).

    Where that is nothing, the old one stays, whole, as what is wished.
    """
    share = plan_of(state, rollout).share
    old = [Part(_as_it_is(state, part.fleet), part.share * (1 - share)) for part in state.serving]
    new = Part(_as_it_is(state, state.target), share)
    mix = tuple(part for part in (*old, new) if part.fleet.counts and part.share > 0)
    state.serving = mix or state.serving
    state.target = state.serving[0].fleet
    state.rollout = None
    state.unpublished = True
    retire_surplus(state, now)


def at_rest(state: State) -> str:
    """EndpointStatus once nothing is under way: several fleets still serve where a rollback failed before.

    While a variant has none of its instances, as after a restart of the machine, the platform is at work on it.
    """
    if len(state.serving) > 1:
        return "UpdateRollbackFailed"
    fleet = state.current
    waiting = fleet is not None and any(
        each.count and not state.serving_at((fleet.number, each.name)) for each in fleet.production
    )
    return "SystemUpdating" if waiting else "InService"


def _as_it_is(state: State, fleet: Fleet) -> Fleet:
    def reduced(variant: Variant) -> Variant:
        return replace(variant, count=len(state.serving_at((fleet.number, variant.name))))

    return replace(fleet, variants=tuple(map(reduced, fleet.variants)))


def give_up_first(state: State, reason: str, now: float) -> None:
    """The first fleet did not come up."""
    state.failed = reason
    retire(state, list(state.instances.values()), now)


def lost(state: State, instance: Instance, now: float, ill: bool = False) -> None:
    """An instance of a fleet that serves is down: another will be planned in its place.

    One that is ``ill`` may yet finish what it has.
    """
    steady = instance.since and now - instance.since > _STEADY_SECONDS
    state.failures = 1 if steady else state.failures + 1
    if ill:
        retire(state, [instance], now)
    else:
        state.put(ending(instance, now))
    state.unpublished = True


def back_off(failures: int) -> float:
    """Seconds until an instance that went down is replaced, given how often in a row that happened."""
    return min(_FIRST_BACK_OFF * 2.0 ** min(failures - 1, 10), _LAST_BACK_OFF) if failures > 1 else 0.0

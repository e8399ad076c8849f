"""States of endpoints for tests, and a world without containers in which instances come up and routers are told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from wildsage.core import routes
from wildsage.services.sagemaker.endpoints import fleet, moves
from wildsage.services.sagemaker.endpoints.fleet import Fleet, Instance, Running, State, Variant
from wildsage.services.sagemaker.endpoints.rollout import End
from wildsage.services.sagemaker.endpoints.routes import endpoint_of
from wildsage.store.codec import Document
from wildsage.store.resources import Key, Resource

MODEL = {"PrimaryContainer": {"Image": "image"}, "ExecutionRoleArn": "role"}
DOCUMENT = {"InstanceType": "ml.t2.medium"}


def variant(name: str, count: int = 1, weight: float = 1.0, shadow: bool = False) -> Variant:
    return Variant(name, weight, count, DOCUMENT, MODEL, shadow)


def running(name: str) -> tuple[Running, ...]:
    """The only container of an instance."""
    return (Running({}, f"unix:/{name}"),)


def serving(number: int, *variants: Variant) -> State:
    """An endpoint whose fleet is up."""
    state = State(Fleet(number, f"config-{number}", 0.0, variants))
    for each in variants:
        for index in range(each.count):
            name = f"{number}-{each.name}-{index}"
            state.put(Instance(name, number, each.name, fleet.SERVING, running(name), since=float(index)))
    moves.switch(state, 0.0)
    state.unpublished = False
    return state


def route(state: State) -> routes.Endpoint:
    """What routers are told."""
    key = Key("sagemaker.endpoint", "000000000000", "us-east-1", "name")
    return endpoint_of(Resource(key, {}, phase="Updating", state=fleet.dump(state)))


@dataclass
class World:
    """Plays an update. Each ``step`` is one of the controller's; the state goes through the store each time.

    ``broken``: fleets whose instances do not come up. ``seen``: (time, old instances, new instances, new share)
    whenever routers were told.
    """

    state: State
    now: float = 0.0
    alarms: tuple[str, ...] = ()
    broken: frozenset[int] = frozenset()
    seen: list[tuple[float, int, int, float]] = field(default_factory=list)
    end: End | None = None
    stuck: bool = False
    reason: str = ""
    _made: int = 0

    def update(self, policy: Document, *variants: Variant) -> None:
        number = self.state.next_number()
        moves.begin(self.state, Fleet(number, f"config-{number}", self.now, variants), policy, self.now)

    def play(self, until: float = 1e9) -> None:
        """Until the update is over, nothing would ever move it, or ``until``."""
        for _ in range(10_000):
            look = self.step()
            leaving = self.state.of(fleet.RETIRED, fleet.ENDING)
            if self.state.rollout is None and self.state.settled and not self.state.unpublished and not leaving:
                return
            if look is not None:
                if look > until:
                    return
                self.now = max(self.now, look)
        raise AssertionError("it goes on for ever")

    def step(self) -> float | None:
        """One step; seconds at which to look again if nothing moved."""
        self.state = fleet.load(json.loads(json.dumps(fleet.dump(self.state))))
        state = self.state
        for each in state.of(fleet.RETIRED, fleet.ENDING):
            if not state.unpublished:
                del state.instances[each.id]
        if state.unpublished:
            self._publish()
            return None
        if state.rollout is not None:
            before = state.rollout
            self.end, look = moves.advance(state, before, self.alarms, self.now)
            if self.end is not None or state.rollout != before:
                self.reason = before.reason
                return None
        elif moves.settle(state):
            moves.switch(state, self.now)
            return None
        missing = moves.missing(state)
        if moves.retire_surplus(state, self.now) or missing:
            for number, name in missing:
                self._made += 1
                state.put(Instance(f"i-{self._made}", number, name, containers=running(str(self._made))))
            return None
        for each in state.of(fleet.PLANNED):
            if each.fleet in self.broken:
                self._failed(each)
                return None
            state.put(replace(each, stage=fleet.SERVING, since=self.now))
            state.unpublished = True
            return None
        return look if state.rollout is not None else self.now

    def _failed(self, instance: Instance) -> None:
        state, rollout = self.state, self.state.rollout
        assert rollout is not None
        moves.lost(state, instance, self.now)
        if instance.fleet == state.target.number:
            moves.turn_back(state, rollout, "broken", self.now)
        else:
            self.stuck = True
            moves.stuck(state, rollout, self.now)

    def _publish(self) -> None:
        state = self.state
        state.unpublished = False
        share = 0.0 if state.rollout is None else moves.plan_of(state, state.rollout).share
        old = sum(len(state.serving_at(place)) for place in moves.old_counts(state))
        new = sum(len(state.serving_at(place)) for place in state.target.counts) if state.rollout is not None else 0
        if not self.seen or self.seen[-1][1:] != (old, new, round(share, 3)):
            self.seen.append((self.now, old, new, round(share, 3)))
        for each in route(state).variants:
            assert each.instances or each.weight == 0, f"requests for {each.name} would find nobody"

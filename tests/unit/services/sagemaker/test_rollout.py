"""Updates from one fleet to the next, played without containers and without waiting."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.services.sagemaker.fleets import World, route, serving, variant

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.endpoints import deployment, fleet, moves
from wildsage.services.sagemaker.endpoints.fleet import Fleet
from wildsage.services.sagemaker.endpoints.rollout import End, Facts, Rollout, advance
from wildsage.services.sagemaker.endpoints.summaries import described
from wildsage.store.codec import Document

Seen = list[tuple[float, int, int, float]]


def size(value: int, kind: str = "CAPACITY_PERCENT") -> Document:
    return {"Type": kind, "Value": value}


def green(kind: str, wait: int = 0, termination: int = 0, limit: int | None = None, **sizes: Document) -> Document:
    policy: dict[str, Any] = {"TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}}
    if termination:
        policy["TerminationWaitInSeconds"] = termination
    if limit:
        policy["MaximumExecutionTimeoutInSeconds"] = limit
    return {"BlueGreenUpdatePolicy": policy}


def rolling(batch: Document, wait: int = 0, back: Document | None = None) -> Document:
    policy: dict[str, Any] = {"MaximumBatchSize": batch, "WaitIntervalInSeconds": wait}
    if back is not None:
        policy["RollbackMaximumBatchSize"] = back
    return {"RollingUpdatePolicy": policy}


def alarmed(policy: Document) -> Document:
    return {**policy, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}


def told(world: World) -> Seen:
    """What routers were told just before and just after the traffic moved, and in the end."""
    found = world.seen
    moved = {number for number in range(1, len(found)) if found[number][3] != found[number - 1][3]}
    return [each for number, each in enumerate(found) if {number, number + 1} & {*moved, len(found)}]


@pytest.mark.parametrize(
    ("policy", "old", "new", "seen"),
    [
        ({}, 2, 3, [(0.0, 2, 3, 0.0), (0.0, 2, 3, 1.0), (0.0, 3, 0, 0.0)]),
        (
            green("ALL_AT_ONCE", 30, 60),
            1,
            1,
            [(0.0, 1, 1, 0.0), (0.0, 1, 1, 1.0), (90.0, 1, 0, 0.0)],
        ),
        (
            green("CANARY", 300, CanarySize=size(1, "INSTANCE_COUNT")),
            4,
            4,
            [(0.0, 4, 4, 0.0), (0.0, 4, 4, 0.25), (300.0, 4, 4, 1.0), (600.0, 4, 0, 0.0)],
        ),
        (
            green("CANARY", 300, 100, CanarySize=size(30)),
            1,
            2,
            [(0.0, 1, 2, 0.0), (0.0, 1, 2, 0.3), (300.0, 1, 2, 1.0), (700.0, 2, 0, 0.0)],
        ),
        (
            green("LINEAR", 10, LinearStepSize=size(40)),
            2,
            2,
            [(0.0, 2, 2, 0.0), (0.0, 2, 2, 0.4), (10.0, 2, 2, 0.8), (20.0, 2, 2, 1.0), (30.0, 2, 0, 0.0)],
        ),
        (
            rolling(size(2, "INSTANCE_COUNT"), 60),
            5,
            5,
            [
                (0.0, 5, 2, 0.0),
                (0.0, 5, 2, 0.4),
                (60.0, 3, 4, 0.4),
                (60.0, 3, 4, 0.8),
                (120.0, 1, 5, 0.8),
                (120.0, 1, 5, 1.0),
                (180.0, 5, 0, 0.0),
            ],
        ),
        (
            rolling(size(50), 0),
            3,
            3,
            [
                (0.0, 3, 1, 0.0),
                (0.0, 3, 1, 0.333),
                (0.0, 2, 2, 0.333),
                (0.0, 2, 2, 0.667),
                (0.0, 1, 3, 0.667),
                (0.0, 1, 3, 1.0),
                (0.0, 3, 0, 0.0),
            ],
        ),
    ],
)
def test_traffic_moves_as_the_policy_says(policy: Document, old: int, new: int, seen: Seen) -> None:
    world = World(serving(1, variant("a", old)))
    world.update(policy, variant("a", new))
    world.play()
    assert told(world) == seen
    assert world.end is End.DONE
    assert world.state.settled
    assert world.state.current is not None
    assert world.state.current.config == "config-2"
    assert not world.reason


def test_the_old_fleet_has_its_instances_until_routers_act_on_the_new_one() -> None:
    world = World(serving(1, variant("a", 2)))
    world.update({}, variant("a", 2))
    while not world.seen or world.seen[-1][3] < 1:
        world.step()
    assert len(world.state.serving_at((1, "a"))) == 2


def test_an_alarm_during_a_canary_brings_all_traffic_back_at_once() -> None:
    world = World(serving(1, variant("a", 4)))
    world.update(alarmed(green("CANARY", 300, CanarySize=size(25))), variant("a", 4))
    world.play(until=100.0)
    assert world.seen[-1] == (0.0, 4, 4, 0.25)
    assert world.now == 100.0
    world.alarms = ("errors",)
    world.play()
    assert world.seen[-2:] == [(100.0, 4, 4, 0.0), (100.0, 4, 0, 0.0)]
    assert "ALARM state during the deployment: errors" in world.reason
    assert world.state.current is not None
    assert world.state.current.config == "config-1"


def test_an_alarm_while_termination_is_waited_for_still_counts() -> None:
    world = World(serving(1, variant("a", 1)))
    world.update(alarmed(green("ALL_AT_ONCE", 10, 50)), variant("a", 1))
    world.play(until=40.0)
    world.alarms = ("errors",)
    world.play()
    assert world.reason
    assert world.seen[-1][1:] == (1, 0, 0.0)


def test_an_update_that_takes_too_long_goes_back() -> None:
    world = World(serving(1, variant("a", 2)))
    world.update(green("LINEAR", 400, limit=600, LinearStepSize=size(10)), variant("a", 2))
    world.play()
    assert world.now == 600.0
    assert "MaximumExecutionTimeoutInSeconds" in world.reason
    assert [each[3] for each in world.seen] == [0.0, 0.0, 0.1, 0.2, 0.0, 0.0]


def test_a_new_fleet_that_does_not_come_up_leaves_the_old_one_alone() -> None:
    world = World(serving(1, variant("a", 2)), broken=frozenset({2}))
    world.update(green("CANARY", 300, CanarySize=size(10)), variant("a", 2))
    world.play()
    assert world.reason == "broken"
    assert {each[1:] for each in world.seen} == {(2, 0, 0.0)}


def back_from_rolling(back: Document | None) -> World:
    """Six instances, batches of two; an alarm once two batches have baked and the third begins."""
    world = World(serving(1, variant("a", 6)))
    world.update(alarmed(rolling(size(2, "INSTANCE_COUNT"), 100, back)), variant("a", 6))
    world.play(until=150.0)
    assert world.seen[-1] == (100.0, 4, 4, 0.667)
    world.seen.clear()
    world.alarms = ("errors",)
    return world


def test_a_rolling_update_goes_back_all_at_once_unless_told_otherwise() -> None:
    world = back_from_rolling(None)
    world.play()
    assert [each[1:] for each in told(world)] == [(6, 2, 0.333), (6, 2, 0.0), (6, 0, 0.0)]
    assert world.state.current is not None
    assert world.state.current.config == "config-1"


def test_a_rolling_update_goes_back_in_batches_if_so_told() -> None:
    world = back_from_rolling(size(1, "INSTANCE_COUNT"))
    world.play()
    assert [each[1:] for each in told(world)] == [
        (5, 2, 0.333),
        (5, 2, 0.167),
        (6, 1, 0.167),
        (6, 1, 0.0),
        (6, 0, 0.0),
    ]


def test_a_rollback_that_fails_leaves_a_mix_that_serves_and_can_be_updated() -> None:
    world = back_from_rolling(None)
    world.broken = frozenset({1})
    world.play()
    assert world.stuck
    assert world.state.rollout is None
    assert [(part.fleet.number, round(part.share, 3)) for part in world.state.serving] == [(1, 0.667), (2, 0.333)]
    variants = route(world.state).variants
    assert [(round(each.weight, 3), len(each.instances)) for each in variants] == [(0.667, 4), (0.333, 2)]
    world.broken, world.alarms = frozenset(), ()
    world.update(rolling(size(50)), variant("a", 4))
    world.play()
    assert world.state.current is not None
    assert (world.state.current.config, world.seen[-1][1:]) == ("config-3", (4, 0, 0.0))
    assert moves.old_counts(world.state) == {(3, "a"): 4}


def test_an_update_of_a_mix_that_fails_leaves_it_a_mix() -> None:
    """Only UpdateEndpoint is possible then; of other weights or capacities nobody would know of which fleet."""
    world = back_from_rolling(None)
    world.broken = frozenset({1, 3})
    world.play()
    assert moves.at_rest(world.state) == "UpdateRollbackFailed"
    world.alarms = ()
    world.update({}, variant("a", 4))
    world.play()
    assert world.end is End.UNDONE
    assert [part.fleet.number for part in world.state.serving] == [1, 2]
    assert moves.at_rest(world.state) == "UpdateRollbackFailed"
    world.update({}, variant("a", 4))
    world.play()
    assert moves.at_rest(world.state) == "InService"


def test_a_rollback_that_fails_where_nothing_serves_any_more_goes_on_with_the_old_fleet() -> None:
    world = back_from_rolling(None)
    for each in world.state.of(fleet.SERVING):
        moves.lost(world.state, each, world.now)
    assert world.state.rollout is not None
    moves.stuck(world.state, world.state.rollout, world.now)
    assert [part.fleet.number for part in world.state.serving] == [1]
    assert moves.missing(world.state) == [(1, "a")] * 6


def test_two_fleets_share_the_requests_and_so_do_their_variants() -> None:
    state = serving(1, variant("a", 2, 3.0), variant("b", 2, 1.0), variant("s", 1, 2.0, shadow=True))
    world = World(state)
    world.update(green("CANARY", 100, CanarySize=size(20)), variant("a", 1, 0.0), variant("c", 1, 8.0))
    world.play(until=50.0)
    endpoint = route(world.state)
    found = [(each.name, round(each.weight, 3), each.share) for each in endpoint.variants]
    assert found == [("a", 0.6, 0.8), ("b", 0.2, 0.8), ("a", 0.0, 0.2), ("c", 0.2, 0.2)]
    assert sum(each.weight for each in endpoint.variants) == pytest.approx(1.0)
    assert [(each.name, round(each.weight, 3)) for each in endpoint.shadows] == [("s", 0.4)]
    assert endpoint.config == "config-1"
    pending = described(world.state)["PendingDeploymentSummary"]
    assert (pending["EndpointConfigName"], pending["StartTime"]) == ("config-2", 0.0)
    assert [each["VariantStatus"][0]["Status"] for each in pending["ProductionVariants"]] == ["Baking", "Baking"]


SIZES = st.builds(size, st.integers(5, 50)) | st.builds(size, st.integers(1, 4), st.just("INSTANCE_COUNT"))
POLICIES: st.SearchStrategy[Document] = st.one_of(
    st.just({}),
    st.builds(lambda wait: green("ALL_AT_ONCE", wait), st.integers(0, 9)),
    st.builds(lambda wait, part: green("CANARY", wait, CanarySize=part), st.integers(0, 9), SIZES),
    st.builds(lambda wait, part: green("LINEAR", wait, LinearStepSize=part), st.integers(0, 9), SIZES),
    st.builds(rolling, SIZES, st.integers(0, 9), st.none() | SIZES),
)
FLEETS = st.lists(st.integers(1, 7), min_size=1, max_size=3)


@settings(max_examples=60)
@given(POLICIES, FLEETS, FLEETS, st.integers(0, 60))
def test_whatever_the_policy_it_ends_and_requests_always_find_an_instance(
    policy: Document, old: list[int], new: list[int], alarm_after: int
) -> None:
    """``World`` looks at every version that routers get; an alarm comes after some number of steps, or too late."""
    world = World(serving(1, *(variant(f"v{number}", count) for number, count in enumerate(old))))
    world.update(alarmed(policy), *(variant(f"v{number}", count) for number, count in enumerate(new)))
    for _ in range(alarm_after):
        world.now = world.step() or world.now
    world.alarms = ("errors",)
    world.play()
    number = 1 if world.reason else 2
    assert world.state.current is not None
    assert world.state.current.number == number
    counts = old if number == 1 else new
    assert {each.id for each in world.state.instances.values()} == {
        each.id for index in range(len(counts)) for each in world.state.serving_at((number, f"v{index}"))
    }
    assert [len(world.state.serving_at((number, f"v{index}"))) for index in range(len(counts))] == counts
    assert world.end is (End.UNDONE if world.reason else End.DONE)


@pytest.mark.parametrize("policy", [{}, green("CANARY", CanarySize=size(10)), rolling(size(50), back=size(50))])
@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (3, 0)])
@pytest.mark.parametrize("alarm_after", [0, 1, 2, 3, 20])
def test_an_endpoint_that_is_scaled_to_zero_is_updated(policy: Document, old: int, new: int, alarm_after: int) -> None:
    before, after = ({(number, "a"): count} if count else {} for number, count in ((1, old), (2, new)))
    rollout, end, steps = Rollout(policy, 0.0, 0.0), None, 0
    while end is None:
        alarms = ("errors",) if steps >= alarm_after else ()
        rollout, end, _ = advance(rollout, before, after, Facts(True, True, alarms), 0.0)
        steps += 1
        assert steps < 30
    assert end is (End.UNDONE if rollout.reason else End.DONE)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({**green("ALL_AT_ONCE"), **rolling(size(50))}, "Only one of"),
        (green("CANARY"), "CanarySize is required"),
        (green("LINEAR"), "LinearStepSize is required"),
        (green("LINEAR", LinearStepSize=size(10), CanarySize=size(10)), "CanarySize can only"),
        (green("CANARY", CanarySize=size(51)), "from 1 to 50 percent"),
        (green("LINEAR", LinearStepSize=size(9)), "from 10 to 50 percent"),
        (green("CANARY", CanarySize=size(2, "INSTANCE_COUNT")), "more than 50 percent of variant a, which has 3"),
        (rolling(size(4)), "from 5 to 50 percent"),
        (rolling(size(50), back=size(101)), "from 5 to 100 percent"),
        (green("CANARY", 300, 300, 600, CanarySize=size(10)), "must be larger than the waiting time"),
    ],
)
def test_policies_that_cannot_be_followed_are_refused(policy: Document, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        deployment.check(policy, Fleet(1, "c", 0.0, (variant("a", 3),)))


def test_policies_that_can_be_followed_pass() -> None:
    target = Fleet(1, "c", 0.0, (variant("a", 4),))
    for policy in (
        {},
        green("ALL_AT_ONCE", 3600, 3600, 28800),
        green("CANARY", CanarySize=size(2, "INSTANCE_COUNT")),
        green("LINEAR", LinearStepSize=size(50)),
        rolling(size(2, "INSTANCE_COUNT"), back=size(4, "INSTANCE_COUNT")),
    ):
        deployment.check(policy, target)

"""The state of an endpoint, and how it moves while nothing but capacities changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.unit.services.sagemaker.fleets import route, serving, variant

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.endpointconfigs import rules as config_rules
from wildsage.services.sagemaker.endpoints import fleet, moves, rules
from wildsage.services.sagemaker.endpoints.fleet import Fleet, Instance, State
from wildsage.services.sagemaker.endpoints.summaries import described
from wildsage.store.codec import Document


def test_a_fleet_is_up_when_every_wanted_instance_serves() -> None:
    state = State(Fleet(1, "c", 0.0, (variant("a", 2),)))
    assert moves.missing(state) == [(1, "a"), (1, "a")]
    state.put(Instance("i-1", 1, "a", fleet.SERVING))
    state.put(Instance("i-2", 1, "a", fleet.LAUNCHED))
    assert (moves.missing(state), moves.settle(state)) == ([], False)
    state.put(Instance("i-2", 1, "a", fleet.SERVING))
    assert moves.settle(state)


def test_scaling_in_retires_the_youngest_and_lets_them_finish() -> None:
    state = serving(1, variant("a", 3), variant("b", 2))
    state.target = replace(state.target, variants=(variant("a", 1), variant("b", 2)))
    assert moves.missing(state) == []
    assert moves.settle(state)
    moves.switch(state, 100.0)
    assert [each.id for each in state.serving_at((1, "a"))] == ["1-a-0"]
    assert [(each.id, each.deadline) for each in state.of(fleet.RETIRED)] == [("1-a-1", 600.0), ("1-a-2", 600.0)]
    assert len(state.serving_at((1, "b"))) == 2
    assert state.unpublished


def test_scaling_out_keeps_what_serves_and_weights_wait_for_it() -> None:
    state = serving(1, variant("a", 1), variant("b", 1))
    state.target = replace(state.target, variants=(variant("a", 3, 5.0), variant("b", 1)))
    assert moves.missing(state) == [(1, "a"), (1, "a")]
    assert not moves.retire_surplus(state, 0.0)
    assert [each.weight for each in route(state).variants] == [1.0, 1.0]
    first, _ = described(state)["ProductionVariants"]
    assert (first["CurrentInstanceCount"], first["DesiredInstanceCount"]) == (1, 3)
    assert (first["CurrentWeight"], first["DesiredWeight"]) == (1.0, 5.0)
    assert first["VariantStatus"] == [{"Status": "Updating"}]


def test_scaling_out_that_fails_goes_back() -> None:
    state = serving(1, variant("a", 1))
    state.target = replace(state.target, variants=(variant("a", 2),))
    state.put(Instance("new", 1, "a", fleet.LAUNCHED))
    moves.withdraw(state, 0.0)
    assert [each.id for each in state.of(fleet.ENDING)] == ["new"]
    assert state.settled
    assert [each.id for each in state.serving_at((1, "a"))] == ["1-a-0"]


def test_a_first_fleet_that_fails_takes_everything_along() -> None:
    state = State(Fleet(1, "c", 0.0, (variant("a"),)), instances={"x": Instance("x", 1, "a", fleet.LAUNCHED)})
    moves.give_up_first(state, "no", 0.0)
    assert state.failed == "no"
    assert moves.wanted(state) == {}
    assert [each.id for each in state.of(fleet.ENDING)] == ["x"]


def test_instances_that_keep_dying_are_replaced_more_and_more_slowly() -> None:
    state = serving(1, variant("a"))
    for _ in range(3):
        (instance,) = state.of(fleet.SERVING)
        moves.lost(state, instance, now=10.0)
        state.put(replace(instance, stage=fleet.SERVING, since=10.0))
    moves.lost(state, replace(state.of(fleet.SERVING)[0], stage=fleet.LAUNCHED, since=0.0), now=10.0)
    assert state.failures == 4
    assert [moves.back_off(failures) for failures in (0, 1, 2, 3, 20)] == [0.0, 0.0, 1.0, 2.0, 60.0]
    state.put(Instance("later", 1, "a", fleet.SERVING, since=100.0))
    moves.lost(state, state.instances["later"], now=200.0)
    assert state.failures == 1


def test_an_ill_instance_leaves_the_routes_and_finishes_what_it_has() -> None:
    state = serving(1, variant("a", 2))
    moves.lost(state, state.instances["1-a-0"], now=10.0, ill=True)
    assert [each.id for each in state.of(fleet.RETIRED)] == ["1-a-0"]
    (told,) = route(state).variants
    assert [each.id for each in told.instances] == ["1-a-1"]
    assert moves.missing(state) == [(1, "a")]


def test_retained_properties() -> None:
    old = Fleet(1, "a", 0.0, (variant("a", 4, 7.0),))
    new = Fleet(2, "b", 0.0, (variant("a", 1, 1.0), variant("b")))
    kept = fleet.retained(old, new, frozenset())
    assert [(each.weight, each.count) for each in kept.variants] == [(7.0, 4), (1.0, 1)]
    kept = fleet.retained(old, new, frozenset({"DesiredInstanceCount"}))
    assert (kept.variants[0].weight, kept.variants[0].count) == (7.0, 1)


def test_the_state_of_an_endpoint_survives_the_store() -> None:
    state = serving(1, variant("a", 2))
    moves.begin(state, Fleet(2, "next", 0.0, (variant("a"), variant("s", shadow=True))), {}, 5.0)
    assert fleet.load(json.loads(json.dumps(fleet.dump(state)))) == state


def test_shadows_are_told_apart_and_counted() -> None:
    state = serving(1, variant("a", 2, 2.0), variant("s", 1, 0.5, shadow=True))
    told = route(state)
    assert [(each.name, each.weight, len(each.instances)) for each in told.variants] == [("a", 2.0, 2)]
    assert [(each.name, each.weight, len(each.instances)) for each in told.shadows] == [("s", 0.5, 1)]
    shown = described(state)
    assert [each["VariantName"] for each in shown["ProductionVariants"]] == ["a"]
    assert [each["VariantName"] for each in shown["ShadowProductionVariants"]] == ["s"]


def before_rollouts(state: State) -> Document:
    """What was kept of the state while an endpoint had at most one fleet that served."""
    kept = fleet.dump(state)
    del kept["rollout"], kept["former"]
    fleets = [part["fleet"] for part in kept["serving"]]
    kept["serving"] = fleets[0] if fleets else None
    for each in (kept["target"], *fleets):
        del each["capture"]
        for one in each["variants"]:
            del one["shadow"]
    return kept


def test_an_endpoint_of_before_there_were_rollouts_goes_on() -> None:
    first, up = State(Fleet(1, "c", 0.0, (variant("a"),))), serving(1, variant("a", 2))
    for state in (first, up):
        assert fleet.load(before_rollouts(state)) == state
    updated = replace(up, target=Fleet(2, "d", 1.0, (variant("a"),)))
    state = fleet.load(before_rollouts(updated))
    assert (moves.missing(state), moves.settle(state)) == ([(2, "a")], False)
    state.put(Instance("new", 2, "a", fleet.SERVING))
    assert moves.settle(state)
    moves.switch(state, 2.0)
    assert state.settled
    assert [each.id for each in state.of(fleet.SERVING)] == ["new"]


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 1e39])
def test_weights_that_have_no_ratio_are_refused(weight: float) -> None:
    state = serving(1, variant("a"))
    wish = {"VariantName": "a", "DesiredWeight": weight}
    with pytest.raises(ValidationError, match="weight of variant a must be a number"):
        rules.check_capacities({"DesiredWeightsAndCapacities": [wish]}, state.target)
    document = {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
    with pytest.raises(ValidationError, match="weight of variant a must be a number"):
        config_rules.check({"ProductionVariants": [{**document, "InitialVariantWeight": weight}]})
    config_rules.check({"ProductionVariants": [{**document, "InitialVariantWeight": 3e38}]})

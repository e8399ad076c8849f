from collections import Counter
from dataclasses import replace

import pytest
from tests.unit.dataplane.plant import allow, deny, invoker

from wildsage.core.routes import (
    DIRECT,
    Container,
    Endpoint,
    Instance,
    Invoker,
    Routes,
    Variant,
    endpoint_key,
    from_json,
)
from wildsage.dataplane.table import Table

ENDPOINT = Endpoint(
    "iris",
    "us-east-1",
    "arn:aws:sagemaker:us-east-1:000000000000:endpoint/iris",
    "InService",
    "config",
    "/aws/sagemaker/Endpoints/iris",
    (Variant("A", 1.0, (Instance("i-1", "unix:/1"), Instance("i-2", "unix:/2"))), Variant("B", 0.0)),
)


def routes(version: int, *endpoints: Endpoint, permissions: dict[str, Invoker] | None = None) -> Routes:
    return Routes(
        version,
        "000000000000",
        "ab",
        {},
        permissions or {},
        {endpoint_key(item.region, item.name): item for item in endpoints},
    )


def test_only_newer_versions_are_taken() -> None:
    table = Table()
    table.put(routes(5, ENDPOINT))
    table.put(routes(5, ENDPOINT))
    with pytest.raises(ValueError, match="older"):
        table.put(routes(4))
    assert table.endpoint("us-east-1", "iris") is not None
    assert table.endpoint("us-west-2", "iris") is None
    table.put(routes(6))
    assert table.endpoint("us-east-1", "iris") is None


def test_a_damaged_version_changes_nothing() -> None:
    table = Table()
    table.put(routes(1, ENDPOINT, permissions={"me": invoker(allow("*"))}))
    live = table.endpoint("us-east-1", "iris")
    assert live is not None
    live.variants[0].slots[0].outstanding = 1
    with pytest.raises(ValueError, match="not JSON"):
        table.put(routes(2, permissions={"me": Invoker("", "no JSON")}))
    assert table.version == 1
    assert table.verdicts("me", "AIDAUSER").steadily(False, ENDPOINT.arn).allowed
    assert table.underway() == {"unix:/1": 1}


@pytest.mark.parametrize(("status", "serves"), [("InService", True), ("Updating", True), ("Creating", False)])
def test_an_endpoint_serves_by_its_status(status: str, serves: bool) -> None:
    table = Table()
    table.put(routes(1, replace(ENDPOINT, status=status)))
    assert (table.endpoint("us-east-1", "iris") is not None) == serves


def test_requests_under_way_and_counters_outlive_a_version() -> None:
    table = Table()
    table.put(routes(1, ENDPOINT))
    live = table.endpoint("us-east-1", "iris")
    assert live is not None
    variant = live.pick()
    assert variant is not None
    slot = variant.pick()
    assert slot is not None
    slot.outstanding += 1
    variant.counters.invocations += 1
    table.put(routes(2, replace(ENDPOINT, config="another")))
    again = table.endpoint("us-east-1", "iris")
    assert again is not None
    assert again is not live
    assert again.variants[0].pick() is not slot
    assert table.counters()["us-east-1/iris"]["A"].invocations == 1
    table.put(routes(3))
    assert table.counters()["us-east-1/iris"]["A"].invocations == 1


def test_an_endpoint_that_has_not_changed_stays_as_it_is() -> None:
    containers = tuple(Container(name, f"unix:/{name}") for name in ("one", "two"))
    by_name = Variant("A", 1.0, (Instance("i-3", "unix:/one", containers),), mode=DIRECT)
    rose = replace(
        ENDPOINT, name="rose", variants=(by_name,), shadows=(Variant("S", 1.0, (Instance("i-4", "tcp:s"),)),)
    )
    table = Table()
    table.put(routes(1, ENDPOINT, rose))
    live = table.endpoint("us-east-1", "rose")
    assert live is not None
    slot = live.variants[0].containers["two"].pick()
    assert slot is not None
    slot.outstanding += 1
    table.put(routes(2, rose))
    assert table.endpoint("us-east-1", "rose") is live
    assert table.left({"addresses": ["unix:/1", "unix:/2"]}) == {"left": True}
    for place in ("unix:/one", "unix:/two", "tcp:s"):
        assert table.left({"addresses": ["unix:/1", place]}) == {"left": False}
    assert table.slot("unix:/two") is slot
    assert table.underway() == {"unix:/two": 1}
    table.put(routes(3))
    assert table.left({"addresses": ["unix:/one", "tcp:s"]}) == {"left": True}
    assert table.left({"addresses": ["unix:/two"]}) == {"left": False}
    assert table.underway() == {"unix:/two": 1}


def test_counters_of_endpoints_that_are_long_gone_are_forgotten() -> None:
    now = 0.0
    table = Table(lambda: now)
    rose = replace(ENDPOINT, name="rose")
    table.put(routes(1, ENDPOINT, rose))
    table.put(routes(2, rose))
    now = 3000.0
    table.put(routes(3, ENDPOINT, rose))
    table.put(routes(4, rose))
    now = 6000.0
    table.put(routes(5, rose))
    assert set(table.counters()) == {"us-east-1/iris", "us-east-1/rose"}
    now = 7000.0
    table.put(routes(6, rose))
    assert set(table.counters()) == {"us-east-1/rose"}


def test_fleets_are_counted_apart_and_forgotten_apart() -> None:
    """An endpoint may be updated for years: each configuration would leave its counters."""
    now = 0.0
    table = Table(lambda: now)
    old = Variant("A", 0.75, (Instance("i-1", "unix:/1"),), config="old")
    new = Variant("A", 0.25, (Instance("i-2", "unix:/2"),), config="new")
    table.put(routes(1, replace(ENDPOINT, variants=(old, new))))
    live = table.endpoint("us-east-1", "iris")
    assert live is not None
    live.variants[1].counters.invocations += 1
    now = 1000.0
    table.put(routes(2, replace(ENDPOINT, variants=(new,))))
    counters = table.counters()["us-east-1/iris"]
    assert {name: each.invocations for name, each in counters.items()} == {"A@old": 0, "A@new": 1}
    now = 5000.0
    table.put(routes(3, replace(ENDPOINT, variants=(new,))))
    assert set(table.counters()["us-east-1/iris"]) == {"A@new"}


def test_a_request_at_an_instance_that_left_is_still_underway() -> None:
    table = Table()
    table.put(routes(1, ENDPOINT))
    live = table.endpoint("us-east-1", "iris")
    assert live is not None
    slot = live.variants[0].pick()
    assert slot is not None
    slot.outstanding += 1
    assert table.underway() == {slot.instance.address: 1}
    for version in (2, 3):
        table.put(routes(version))
        assert table.underway() == {slot.instance.address: 1}
    slot.outstanding -= 1
    assert table.underway() == {}


def test_a_variant_asked_for_by_name_is_found_in_both_fleets() -> None:
    old = Variant("A", 0.75, (Instance("i-1", "unix:/1"),), share=0.75)
    new = Variant("A", 0.25, (Instance("i-2", "unix:/2"),), share=0.25)
    table = Table()
    table.put(routes(1, replace(ENDPOINT, variants=(old, new))))
    live = table.endpoint("us-east-1", "iris")
    assert live is not None
    found = Counter(variant.variant for _ in range(2000) if (variant := live.named("A")) is not None)
    assert 400 < found[new] < 600
    assert live.named("B") is None
    table.put(routes(2, replace(ENDPOINT, variants=(replace(old, share=0.0), replace(new, share=0.0)))))
    again = table.endpoint("us-east-1", "iris")
    assert again is not None
    assert again.named("A") is not None


def test_a_variant_without_weight_does_not_take_over_from_one_without_instances() -> None:
    here, away = (Instance("i-1", "unix:/1"),), ()
    for variants, found in (
        ((Variant("A", 1.0, away), Variant("B", 0.0, here)), None),
        ((Variant("A", 1.0, here), Variant("B", 0.0, away)), "A"),
        ((Variant("A", 0.0, here),), "A"),
    ):
        table = Table()
        table.put(routes(1, replace(ENDPOINT, variants=variants)))
        live = table.endpoint("us-east-1", "iris")
        assert live is not None
        picked = live.pick()
        assert (None if picked is None else picked.variant.name) == found


def test_an_instance_that_was_tried_is_not_picked_again() -> None:
    table = Table()
    table.put(routes(1, ENDPOINT))
    live = table.endpoint("us-east-1", "iris")
    assert live is not None
    variant = live.variants[0]
    first = variant.pick()
    assert first is not None
    second = variant.pick((first,))
    assert second is not None
    assert second is not first
    assert variant.pick((first, second)) is None


@pytest.mark.parametrize(
    ("permission", "reason"),
    [
        (invoker(allow("*")), ""),
        (invoker(allow("arn:aws:sagemaker:*:000000000000:endpoint/ir?s")), ""),
        (invoker(allow("arn:aws:sagemaker:us-east-1:000000000000:endpoint/irises*")), "no identity-based policy"),
        (invoker(allow("*"), deny("*/iris")), "explicit deny in an identity-based policy"),
        (invoker(allow("*"), deny("*/rose")), ""),
        (invoker(allow("arn:aws:sagemaker.us*")), "no identity-based policy"),
        (invoker({"Effect": "Allow", "Action": "sagemaker:invoke*", "NotResource": "*/rose"}), ""),
        (invoker({"Effect": "Allow", "NotAction": "sagemaker:Invoke*", "Resource": "*"}), "no identity-based policy"),
        (invoker(allow("*"), boundary=[allow("*/rose")]), "no permissions boundary policy"),
        (invoker(allow("*"), boundary=[allow("*/iris")]), ""),
        (invoker(allow("*"), boundary=[allow("*"), deny("*")]), "explicit deny in a permissions boundary policy"),
        (invoker(boundary=[allow("*")]), "no identity-based policy"),
        (invoker(allow("*"), boundary=[]), "no permissions boundary policy"),
    ],
)
def test_permissions(permission: Invoker, reason: str) -> None:
    table = Table()
    read = from_json(routes(1, ENDPOINT, permissions={"me": permission}).to_json())
    assert read.permissions == {"me": permission}
    table.put(read)
    found = table.verdicts("me", "AIDAUSER")
    assert found.steady
    for streams in (False, True, False):
        decision = found.steadily(streams, ENDPOINT.arn)
        assert decision.allowed is not bool(reason)
        assert reason in decision.reason
    for principal, user_id in (("stranger", "AIDAUSER"), ("me", "AIDAANEW")):
        assert not table.verdicts(principal, user_id).steadily(False, ENDPOINT.arn).allowed
    table.put(read)
    assert table.verdicts("me", "AIDAUSER") is found

"""What an endpoint wants and what it has, as pure data and functions of it.

An endpoint's ``state``:
    target     the fleet that is wished, written by operations: see ``Fleet``
    serving    the fleet that requests go to; absent until the first is up
    instances  id → Instance: everything that exists or shall exist
    failures   how often in a row an instance of the serving fleet had to be replaced
    unpublished  whether routers have yet to hear of what is here
    failed     why the first fleet did not come up: everything is to be taken away

Each instance goes its way: planned (an id, nothing else), filled (its folder is there), launched (its process is),
serving (it answered /ping), retired (no request goes there any more: to be stopped and forgotten).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from wildsage.services.sagemaker.models.rules import container_of
from wildsage.store.codec import Document

PLANNED, FILLED, LAUNCHED, SERVING, RETIRED = "planned", "filled", "launched", "serving", "retired"
STARTUP_TIMEOUT = 480.0
"""Seconds a container may take to its first healthy answer where the variant does not say."""

_FIRST_BACK_OFF = 0.5
_LAST_BACK_OFF = 60.0
_STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant with the model it had when the endpoint was made; both may be deleted since."""

    name: str
    weight: float
    count: int
    document: Document
    model: Document

    @property
    def image(self) -> str:
        return str(container_of(self.model)["Image"])

    @property
    def startup_timeout(self) -> float:
        return float(self.document.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All instances of one endpoint configuration.

    ``number`` tells one fleet of an endpoint from the next; ``made``: when it was asked for, epoch seconds.
    """

    number: int
    config: str
    made: float
    variants: tuple[Variant, ...]

    def variant(self, name: str) -> Variant | None:
        return next((each for each in self.variants if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Instance:
    """One container. Epoch seconds: ``not_before`` its start, ``deadline`` for its first healthy answer, ``since``."""

    id: str
    fleet: int
    variant: str
    stage: str = PLANNED
    handle: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""
    not_before: float = 0.0
    deadline: float = 0.0
    since: float = 0.0


@dataclass(slots=True)
class State:
    """The whole, as the controller works with it."""

    target: Fleet
    serving: Fleet | None
    instances: dict[str, Instance]
    failures: int = 0
    unpublished: bool = False
    failed: str = ""

    def of(self, *stages: str) -> list[Instance]:
        return [each for each in self.instances.values() if each.stage in stages]

    def put(self, instance: Instance) -> None:
        self.instances[instance.id] = instance

    def variant_of(self, instance: Instance) -> Variant | None:
        """The variant an instance was planned for; None for a retired one whose fleet is no longer known."""
        for fleet in (self.target, self.serving):
            if fleet is not None and fleet.number == instance.fleet:
                return fleet.variant(instance.variant)
        return None

    def routed(self, variant: str) -> list[Instance]:
        """The instances that answer for a variant of the serving fleet."""
        number = None if self.serving is None else self.serving.number
        return [each for each in self.of(SERVING) if (each.fleet, each.variant) == (number, variant)]


def load(document: Document) -> State:
    """From a resource's ``state``."""
    serving = document["serving"]
    return State(
        target=_fleet(document["target"]),
        serving=None if serving is None else _fleet(serving),
        instances={each["id"]: Instance(**each) for each in document["instances"]},
        failures=document["failures"],
        unpublished=document["unpublished"],
        failed=document["failed"],
    )


def dump(state: State) -> Document:
    """The inverse of ``load``."""
    return {
        "target": asdict(state.target),
        "serving": None if state.serving is None else asdict(state.serving),
        "instances": [asdict(each) for each in state.instances.values()],
        "failures": state.failures,
        "unpublished": state.unpublished,
        "failed": state.failed,
    }


def _fleet(document: Document) -> Fleet:
    return Fleet(**{**document, "variants": tuple(Variant(**variant) for variant in document["variants"])})


def _there(state: State, variant: Variant) -> list[Instance]:
    """The instances of a variant of the target, oldest first."""
    return [
        each
        for each in state.of(PLANNED, FILLED, LAUNCHED, SERVING)
        if (each.fleet, each.variant) == (state.target.number, variant.name)
    ]


def missing(state: State) -> list[Variant]:
    """A variant for each instance that the target wants and that is not there yet."""
    return [variant for variant in state.target.variants for _ in range(variant.count - len(_there(state, variant)))]


def complete(state: State) -> bool:
    """Whether as many instances of the target serve as it wants."""
    return all(
        sum(each.stage == SERVING for each in _there(state, variant)) >= variant.count
        for variant in state.target.variants
    )


def switch(state: State) -> None:
    """Requests go to the target from now on; what it does not want is retired. Counts only when complete."""
    wanted = {
        each.id
        for variant in state.target.variants
        for each in sorted(_there(state, variant), key=lambda one: one.stage != SERVING)[: variant.count]
    }
    _retire(state, [each for each in state.instances.values() if each.id not in wanted])
    state.serving = state.target
    state.failures = 0
    state.unpublished = True


def give_up(state: State, reason: str) -> None:
    """The target did not come up: back to the fleet that serves, or, without one, the end."""
    if state.serving is None:
        state.failed = reason
        _retire(state, list(state.instances.values()))
        return
    state.target = state.serving
    keep = {each.id for variant in state.target.variants for each in _there(state, variant) if each.stage == SERVING}
    _retire(state, [each for each in state.instances.values() if each.id not in keep])


def lost(state: State, instance: Instance, now: float) -> None:
    """An instance of a serving fleet is down: it is retired, and another will be planned in its place."""
    state.failures = 1 if now - instance.since > _STEADY_SECONDS else state.failures + 1
    _retire(state, [instance])
    state.unpublished = True


def _retire(state: State, instances: Iterable[Instance]) -> None:
    for each in instances:
        state.put(replace(each, stage=RETIRED))


def back_off(failures: int) -> float:
    """Seconds until an instance that went down is replaced, given how often in a row that happened."""
    return min(_FIRST_BACK_OFF * 2.0 ** min(failures - 1, 10), _LAST_BACK_OFF) if failures > 1 else 0.0


def retained(old: Fleet, new: Fleet, excluded: frozenset[str]) -> Fleet:
    """``new`` with weights and counts of ``old`` (UpdateEndpoint's RetainAllVariantProperties)."""

    def keep(variant: Variant) -> Variant:
        before = old.variant(variant.name)
        if before is None:
            return variant
        weight = variant.weight if "DesiredWeight" in excluded else before.weight
        count = variant.count if "DesiredInstanceCount" in excluded else before.count
        return replace(variant, weight=weight, count=count)

    return replace(new, variants=tuple(map(keep, new.variants)))


def summaries(state: State) -> list[Document]:
    """DescribeEndpoint's ProductionVariants; none until a fleet serves."""
    if state.serving is None:
        return []
    found = []
    made = state.serving.made
    same = state.serving.number == state.target.number
    for variant in state.serving.variants:
        desired = (state.target.variant(variant.name) if same else None) or variant
        image = {"SpecifiedImage": variant.image, "ResolvedImage": variant.image, "ResolutionTime": made}
        found.append(
            {
                "VariantName": variant.name,
                "DeployedImages": [image],
                "CurrentWeight": variant.weight,
                "DesiredWeight": desired.weight,
                "CurrentInstanceCount": len(state.routed(variant.name)),
                "DesiredInstanceCount": desired.count,
            }
        )
    return found

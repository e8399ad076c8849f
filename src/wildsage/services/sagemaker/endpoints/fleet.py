"""What an endpoint wants and what it has, as pure data.

An endpoint's ``state``:
    target     the fleet that is wished, written by operations: see ``Fleet``
    serving    what requests go to: one fleet, several only after a rollback that failed; none until the first is up
    rollout    how far the way from there to a target of another number is; absent unless it is under way
    former     fleets that have nothing but instances that are to go
    instances  everything that exists or shall exist
    failures   how often in a row an instance of a serving fleet had to be replaced
    unpublished  whether routers have yet to hear of what is here
    failed     why the first fleet did not come up: everything is to be taken away

Each instance goes its way: planned (an id, nothing else), filled (its folder is there), launched (its process is),
serving (it answered /ping), retired (no request goes there any more, and those there are finished), ending (to be
stopped and forgotten).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from wildsage.core.routes import LEAST_OUTSTANDING
from wildsage.services.sagemaker.endpointconfigs.serverless import config_of
from wildsage.services.sagemaker.endpoints.rollout import Place, Rollout
from wildsage.services.sagemaker.instance import archives
from wildsage.services.sagemaker.models.containers import Container, containers_of, mode_of
from wildsage.store.codec import Document

PLANNED, FILLED, LAUNCHED, SERVING = "planned", "filled", "launched", "serving"
RETIRED, ENDING = "retired", "ending"
STARTUP_TIMEOUT = 480.0
"""Seconds a container may take to its first healthy answer where the variant does not say."""
DOWNLOAD_TIMEOUT = 3600.0
"""Seconds its model may take to be downloaded and extracted where the variant does not say."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant with the model it had when the endpoint was made; both may be deleted since.

    ``shadow``: it gets copies of requests, and nobody sees its answers. ``images``: what the image of each container
    was in the engine when the first instance was prepared (empty: it runs natively), and is for all that follow,
    whatever the tag then names; none before. ``resolved``: what registries call them, likewise (empty: nothing).
    """

    name: str
    weight: float
    count: int
    document: Document
    model: Document
    shadow: bool = False
    images: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()

    @property
    def containers(self) -> tuple[Container, ...]:
        """Those of its model; each instance has all of them."""
        return containers_of(self.model)

    @property
    def mode(self) -> str:
        """How they are used: see ``core.routes.Variant``."""
        return mode_of(self.model)

    @property
    def serverless(self) -> Document | None:
        """Its ServerlessConfig; it then has a single instance, whose workers come and go by themselves."""
        return config_of(self.document)

    @property
    def volume(self) -> int:
        """Bytes that an unpacked model may have: VolumeSizeInGB, or as much as that may be."""
        size = self.document.get("VolumeSizeInGB")
        return size << 30 if size else archives.MOST_BYTES

    @property
    def startup_timeout(self) -> float:
        return float(self.document.get("ContainerStartupHealthCheckTimeoutInSeconds") or STARTUP_TIMEOUT)

    @property
    def download_timeout(self) -> float:
        return float(self.document.get("ModelDataDownloadTimeoutInSeconds") or DOWNLOAD_TIMEOUT)

    @property
    def routing(self) -> str:
        return str((self.document.get("RoutingConfig") or {}).get("RoutingStrategy") or LEAST_OUTSTANDING)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All instances of one endpoint configuration.

    ``number`` tells one fleet of an endpoint from the next; ``made``: when it was asked for, epoch seconds.
    ``capture``, ``asynchronous``: the configuration's DataCaptureConfig and AsyncInferenceConfig; empty where it has
    none.
    """

    number: int
    config: str
    made: float
    variants: tuple[Variant, ...]
    capture: Document = field(default_factory=dict)
    asynchronous: Document = field(default_factory=dict)

    def variant(self, name: str) -> Variant | None:
        return next((each for each in self.variants if each.name == name), None)

    @property
    def production(self) -> tuple[Variant, ...]:
        return tuple(each for each in self.variants if not each.shadow)

    @property
    def counts(self) -> dict[Place, int]:
        """How many instances it has when it is whole."""
        return {(self.number, each.name): each.count for each in self.variants if each.count}


@dataclass(frozen=True, slots=True)
class Part:
    """A fleet and its part of the requests, relative to that of the others that serve."""

    fleet: Fleet
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A container of an instance that was launched. ``number``, ``hostname``: see ``models.containers.Container``."""

    handle: Mapping[str, Any]
    address: str
    number: int = 1
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance. Epoch seconds: ``not_before`` its start, ``since`` it serves.

    ``containers``: all of its model's, in order, once they are launched; they live and die together.
    ``deadline``: for its first healthy answer; of a retired one for its last answer, of an ending one for its end.
    ``images``, ``resolved``: see ``Variant``; what was found for this one.
    """

    id: str
    fleet: int
    variant: str
    stage: str = PLANNED
    containers: tuple[Running, ...] = ()
    not_before: float = 0.0
    deadline: float = 0.0
    since: float = 0.0
    images: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """By which routers tell it from others: its first container's."""
        return self.containers[0].address if self.containers else ""

    @property
    def place(self) -> Place:
        return self.fleet, self.variant


@dataclass(slots=True)
class State:
    """The whole, as the controller works with it."""

    target: Fleet
    serving: tuple[Part, ...] = ()
    instances: dict[str, Instance] = field(default_factory=dict)
    rollout: Rollout | None = None
    former: tuple[Fleet, ...] = ()
    failures: int = 0
    unpublished: bool = False
    failed: str = ""

    @property
    def current(self) -> Fleet | None:
        """The fleet whose configuration the endpoint has."""
        return self.serving[0].fleet if self.serving else None

    @property
    def settled(self) -> bool:
        """Whether nothing is wished but what serves."""
        return self.current == self.target

    def of(self, *stages: str) -> list[Instance]:
        return [each for each in self.instances.values() if each.stage in stages]

    def put(self, instance: Instance) -> None:
        self.instances[instance.id] = instance

    def pin(self, instance: Instance) -> None:
        """The images of its variant are those that were found for this instance, unless they are known already."""
        self.target = _pinned(self.target, instance)
        self.serving = tuple(replace(part, fleet=_pinned(part.fleet, instance)) for part in self.serving)
        self.former = tuple(_pinned(each, instance) for each in self.former)

    def fleets(self) -> Iterator[Fleet]:
        """All that are known."""
        yield self.target
        for part in self.serving:
            yield part.fleet
        yield from self.former

    def variant_of(self, instance: Instance) -> Variant | None:
        """The variant an instance was planned for."""
        for fleet in self.fleets():
            if fleet.number == instance.fleet and (found := fleet.variant(instance.variant)) is not None:
                return found
        return None

    def serving_at(self, place: Place) -> list[Instance]:
        """The instances of a variant that answer."""
        return [each for each in self.of(SERVING) if each.place == place]

    def next_number(self) -> int:
        """Of a fleet that no instance is of yet."""
        return 1 + max([*(fleet.number for fleet in self.fleets()), *(each.fleet for each in self.instances.values())])


def load(document: Document) -> State:
    """From a resource's ``state``; also from one that was kept before there were rollouts, or several containers."""
    rollout, serving = document.get("rollout"), document["serving"]
    if not isinstance(serving, list):  # then one fleet, or None
        serving = [] if serving is None else [{"fleet": serving, "share": 1.0}]
    return State(
        target=_fleet(document["target"]),
        serving=tuple(Part(_fleet(part["fleet"]), part["share"]) for part in serving),
        instances={each["id"]: _instance(each) for each in document["instances"]},
        rollout=None if rollout is None else Rollout(**rollout),
        former=tuple(map(_fleet, document.get("former", ()))),
        failures=document["failures"],
        unpublished=document["unpublished"],
        failed=document["failed"],
    )


def dump(state: State) -> Document:
    """The inverse of ``load``; fleets of which nothing is left are left out."""
    there = {each.fleet for each in state.instances.values()}
    return {
        "target": asdict(state.target),
        "serving": [asdict(part) for part in state.serving],
        "instances": [asdict(each) for each in state.instances.values()],
        "rollout": None if state.rollout is None else asdict(state.rollout),
        "former": [asdict(fleet) for fleet in state.former if fleet.number in there],
        "failures": state.failures,
        "unpublished": state.unpublished,
        "failed": state.failed,
    }


def _instance(document: Document) -> Instance:
    known = {name: value for name, value in document.items() if name not in ("handle", "address")}
    containers = document.get("containers", ())
    if document.get("handle"):  # as it was kept when an instance was one container
        containers = [{"handle": document["handle"], "address": document["address"]}]
    return Instance(**{**known, "containers": tuple(Running(**each) for each in containers), **_found(document)})


def _fleet(document: Document) -> Fleet:
    return Fleet(**{**document, "variants": tuple(map(_variant, document["variants"]))})


def _variant(document: Document) -> Variant:
    return Variant(**{**document, **_found(document)})


def _found(document: Document) -> dict[str, tuple[str, ...]]:
    return {name: tuple(document.get(name, ())) for name in ("images", "resolved")}


def _pinned(fleet: Fleet, instance: Instance) -> Fleet:
    if fleet.number != instance.fleet:
        return fleet
    variants = (
        replace(each, images=instance.images, resolved=instance.resolved)
        if each.name == instance.variant and not each.images
        else each
        for each in fleet.variants
    )
    return replace(fleet, variants=tuple(variants))


def retained(old: Fleet, new: Fleet, excluded: frozenset[str]) -> Fleet:
    """``new`` with weights and counts of ``old`` (UpdateEndpoint's RetainAllVariantProperties)."""

    def keep(variant: Variant) -> Variant:
        before = old.variant(variant.name)
        if before is None:
            return variant
        return replace(
            variant,
            weight=variant.weight if "DesiredWeight" in excluded else before.weight,
            count=variant.count if "DesiredInstanceCount" in excluded else before.count,
        )

    return replace(new, variants=tuple(map(keep, new.variants)))

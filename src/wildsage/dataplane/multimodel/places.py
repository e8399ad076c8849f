"""Where models are loaded, as one router knows it, and which instance answers for a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from time import perf_counter

from wildsage.dataplane.table import Slot

CROWDED = 4
"""Requests that a model works on at one instance before another instance loads it too."""


class Place:
    """One model, loaded at one instance. ``address``, ``path``: where it is asked.

    ``keep``: it stays loaded after use. ``used``: when its last request began or ended (``perf_counter``).
    """

    __slots__ = ("address", "keep", "outstanding", "path", "slot", "target", "used")

    def __init__(self, slot: Slot, target: str, address: str, path: str, keep: bool) -> None:
        self.slot = slot
        self.target = target
        self.address = address
        self.path = path
        self.keep = keep
        self.outstanding = 0
        self.used = perf_counter()

    def begin(self) -> None:
        self.outstanding += 1
        self.used = perf_counter()

    def end(self) -> None:
        self.outstanding -= 1
        self.used = perf_counter()

    def forget(self) -> None:
        """It is not there any more; whoever wants it asks control."""
        if self.slot.models.get(self.target) is self:
            del self.slot.models[self.target]


def loaded_at(slots: Sequence[Slot], target: str) -> Place | None:
    """Where it is loaded, with the fewest requests under way; None: nowhere, or only at instances in doubt."""
    if any(slot.doubted_until for slot in slots):
        now = perf_counter()
        slots = [slot for slot in slots if slot.doubted_until <= now] or slots
    best: Place | None = None
    for slot in slots:
        place = slot.models.get(target)
        if place is not None and (best is None or place.outstanding < best.outstanding):
            best = place
    return best


def preferred(slots: Sequence[Slot], target: str) -> list[Slot]:
    """The instances in the order in which they are to load a model.

    The same for all routers, whatever they know of what is loaded, and spread evenly over models: the highest hash of
    the two names first (rendezvous hashing). Instances that cannot be reached at the moment come last.
    """
    now = perf_counter()

    def rank(slot: Slot) -> tuple[bool, bytes]:
        name = f"{slot.instance.id}/{target}".encode()
        return not slot.away(now), hashlib.blake2b(name, digest_size=8).digest()

    return sorted(slots, key=rank, reverse=True)


def another(slots: Sequence[Slot], place: Place) -> Slot | None:
    """The instance that shall load a model too, since those that have it are busy; None where that would not help."""
    if place.outstanding < CROWDED or len(slots) < 2:
        return None
    for slot in preferred(slots, place.target):
        if place.target not in slot.models and slot.outstanding < place.outstanding:
            return slot
    return None

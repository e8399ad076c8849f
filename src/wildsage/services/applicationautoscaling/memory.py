"""What the controller of a scalable target remembers, in the resource's ``state``. Pure.

``activity``: the scaling under way. ``ended``: when the last one was over. ``out`` and ``in``: when the last of each
was over, and the capacity before it. ``runs``: scheduled action → when it ran last. ``bounds``: why the capacity must
be compared with the bounds. ``held``: the last reason why an alarm changed nothing.
``orphans``: alarms of policies that are gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wildsage.store.codec import Document


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the capacity: from what, and when it was over."""

    at: float = -math.inf
    before: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """The last scale-out, the last scale-in, and when the last of any kind was over."""

    out: Change = Change()
    into: Change = Change()
    ended: float = -math.inf


def history(state: Document) -> History:
    def change(name: str) -> Change:
        return Change(**state[name]) if name in state else Change()

    return History(change("out"), change("in"), state.get("ended", -math.inf))


def bounded(state: Document, why: str) -> Document:
    """The state in which the capacity is to be compared with new bounds."""
    return {**state, "bounds": why} if why else state


def orphaned(state: Document, alarms: Iterable[str]) -> Document:
    """The state in which these alarms are to be taken away as well."""
    return {**state, "orphans": [*state.get("orphans", ()), *alarms]}


def changes(bounds: Mapping[str, int]) -> str:
    """How a cause tells new bounds."""
    words = {"MinCapacity": "minimum", "MaxCapacity": "maximum"}
    return " and ".join(f"{words[name]} capacity was set to {value}" for name, value in bounds.items())


def scaled(state: Document, before: int, after: int, now: float) -> Document:
    """The state once a change of the capacity is over."""
    change = {"at": now, "before": before}
    kept = {name: value for name, value in state.items() if name not in ("activity", "held")}
    return {**kept, "ended": now, **({"out": change} if after > before else {"in": change})}


def alarms_of(spec: Document, state: Document) -> list[str]:
    """The names of all alarms that belong to a target, those of policies that are gone too."""
    own = [name for policy in spec["Policies"].values() for name in policy["AlarmNames"]]
    return [*own, *state.get("orphans", ())]

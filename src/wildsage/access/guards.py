"""What a resource itself says about a call, beside the policies of who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Guard:
    """``owner``: the account of the resource, empty where it is the caller's. ``policy``: the resource's, as JSON.

    ``granted``: an access control list gives the caller what it asks. ``context``: keys that the resource has.
    """

    owner: str = ""
    policy: str | None = None
    granted: bool = False
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)

"""When requests come faster than one process can accept and answer at the same time, accepting goes first.

While many arrive, answers are begun at most every 20 ms: that is nothing to slow models, and quick ones lose no more
than the second or two that a burst takes.
"""

from __future__ import annotations

from collections import deque

PACE_SECONDS = 0.02
_ARRIVALS = 8
_WITHIN_SECONDS = 0.04


class Rush:
    """Times are those of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._arrived: deque[float] = deque(maxlen=_ARRIVALS)
        self._begun = float("-inf")

    def arrived(self, now: float) -> None:
        """A request was accepted."""
        self._arrived.append(now)

    def begins(self, now: float) -> bool:
        """Whether a request may be handed out now; if so, it is."""
        rushing = len(self._arrived) == _ARRIVALS and now - self._arrived[0] < _WITHIN_SECONDS
        if rushing and now - self._begun < PACE_SECONDS:
            return False
        self._begun = now
        return True

"""Settings of automatic scaling: how soon target tracking sees a load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.errors import SettingsError

_PERIODS = (10, 20, 30, 60)
_MOST = 60


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """The alarms of target tracking: one value each ``period`` seconds.

    ``high`` values in a row over the target scale out, ``low`` values in a row below nine tenths of it scale in.
    """

    period: int = 60
    high: int = 3
    low: int = 15


def scaling_settings(environ: Mapping[str, str]) -> ScalingSettings:
    """WILDSAGE_SCALING_ALARMS: ``period=10,high=2,low=3``; what is absent is as on AWS."""
    text = environ.get("WILDSAGE_SCALING_ALARMS", "")
    if not text:
        return ScalingSettings()
    given = dict(part.strip().partition("=")[::2] for part in text.split(","))
    wrong = SettingsError(
        "WILDSAGE_SCALING_ALARMS must have the form period=10,high=2,low=3 (a period of 10, 20, 30 or 60 seconds, and "
        f"how many of them in a row scale out and in, {_MOST} at most), not {text!r}"
    )
    try:
        numbers = {name: int(value) for name, value in given.items()}
        found = ScalingSettings(**numbers)
    except (ValueError, TypeError):
        raise wrong from None
    if found.period not in _PERIODS or not (1 <= found.high <= _MOST and 1 <= found.low <= _MOST):
        raise wrong
    return found

"""Settings of jobs: how long a stop takes, and when managed spot training is interrupted."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.core.errors import SettingsError
from wildsage.core.numbers import number

STOP_GRACE = 120.0
SPOT_SAVINGS = 70.0


@dataclass(frozen=True, slots=True)
class Interruptions:
    """A schedule of interruptions that is the same each time: it depends on ``seed``, the job's name and its attempt.

    ``mean``: seconds of training between two, on average. ``capacity``: seconds until there are instances again.
    """

    seed: str
    mean: float
    capacity: float = 0.0

    def after(self, job: str, attempt: int) -> float:
        """Seconds of training until the next; interruptions come independently of one another."""
        return random.Random(f"{self.seed}/{job}/{attempt}").expovariate(1 / self.mean)


@dataclass(frozen=True, slots=True)
class JobSettings:
    """``stop_grace``: seconds between SIGTERM and SIGKILL. ``at_once``: how many training jobs run at the same time.

    ``spot_savings``: by how many per cent managed spot training is cheaper, for BillableTimeInSeconds.
    """

    stop_grace: float = STOP_GRACE
    at_once: int = max(2, os.cpu_count() or 1)
    spot_savings: float = SPOT_SAVINGS
    interruptions: Interruptions | None = None


def job_settings(environ: Mapping[str, str]) -> JobSettings:
    """WILDSAGE_STOP_GRACE, WILDSAGE_JOBS_AT_ONCE, WILDSAGE_SPOT_SAVINGS and WILDSAGE_SPOT_INTERRUPTIONS."""
    found = JobSettings()
    return JobSettings(
        stop_grace=number(environ, "WILDSAGE_STOP_GRACE", found.stop_grace, 3600, zero=True),
        at_once=max(int(number(environ, "WILDSAGE_JOBS_AT_ONCE", found.at_once, 10_000, zero=True)), 1),
        spot_savings=number(environ, "WILDSAGE_SPOT_SAVINGS", found.spot_savings, 99, zero=True),
        interruptions=_interruptions(environ.get("WILDSAGE_SPOT_INTERRUPTIONS", "")),
    )


def _interruptions(text: str) -> Interruptions | None:
    """``seed=7,mean=60,capacity=5``: seconds; capacity may be absent."""
    if not text:
        return None
    given = dict(part.strip().partition("=")[::2] for part in text.split(","))
    try:
        mean, capacity = float(given["mean"]), float(given.get("capacity", "0"))
    except (KeyError, ValueError):
        mean, capacity = 0.0, 0.0
    if not (0 < mean < float("inf") and 0 <= capacity < float("inf")) or not given.keys() <= {
        "seed",
        "mean",
        "capacity",
    }:
        raise SettingsError(
            "WILDSAGE_SPOT_INTERRUPTIONS must have the form seed=7,mean=60,capacity=5 (seconds of training between two "
            f"interruptions on average, and until there are instances again), not {text!r}"
        )
    return Interruptions(given.get("seed", "0"), mean, capacity)

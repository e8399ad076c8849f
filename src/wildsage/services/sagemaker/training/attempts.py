"""A job that begins anew: managed spot training that was interrupted, and RetryStrategy. Pure.

``state`` of a job, beside what the controller says:
    attempt        how often it has begun anew
    retries        how often of these because of an internal error
    began          since when this attempt's instances work for the job, epoch seconds
    spent          seconds that the attempts before have worked
    interruption   at and capacity: its instances are taken away at that time, others come after ``capacity`` seconds
    resume         when there are instances again

Sources: Developer Guide, "Managed Spot Training Lifecycle"; API reference, StoppingCondition, RetryStrategy,
DescribeTrainingJob.
"""

from __future__ import annotations

from wildsage.core.jobs import Interruptions, JobSettings
from wildsage.store.codec import Document

INTERNAL = "InternalServerError"
INTERRUPTION = "interruption"
# What a job that begins anew takes along.
_KEPT = ("log_stream", "software", "pool", "attempt", "retries", "spent")


def is_spot(spec: Document) -> bool:
    return bool(spec.get("EnableManagedSpotTraining"))


def worked(state: Document, now: float) -> float:
    """Seconds that instances have worked for the job."""
    spent: float = state.get("spent", 0.0)
    return spent + (now - state["began"] if "began" in state else 0.0)


def wait_is_over(spec: Document, created: float) -> float:
    """When MaxWaitTimeInSeconds is over, epoch seconds."""
    wait = spec["StoppingCondition"].get("MaxWaitTimeInSeconds")
    return created + wait if is_spot(spec) and wait else float("inf")


def limit(spec: Document, state: Document, created: float, now: float) -> tuple[float, str]:
    """When a job whose containers start now must end, and what it shows then."""
    runtime = now + spec["StoppingCondition"]["MaxRuntimeInSeconds"] - worked(state, now)
    wait = wait_is_over(spec, created)
    return (wait, "MaxWaitTimeExceeded") if wait < runtime else (runtime, "MaxRuntimeExceeded")


def alarm(state: Document) -> float:
    """When containers that run are interrupted, or their time is over."""
    over: float = state["deadline"][0]
    interruption = state.get(INTERRUPTION)
    return over if interruption is None else min(over, interruption["at"])


def drawn(spec: Document, state: Document, now: float, schedule: Interruptions | None) -> Document:
    """The state with the interruption that the schedule has for this attempt, whose containers start now."""
    if schedule is None or not is_spot(spec) or INTERRUPTION in state:
        return state
    at = now + schedule.after(spec["TrainingJobName"], state.get("attempt", 0))
    return {**state, INTERRUPTION: {"at": at, "capacity": schedule.capacity}}


def may_retry(spec: Document, state: Document, reason: str) -> bool:
    """Whether RetryStrategy has an attempt left for a job that would fail of ``reason``."""
    attempts: int = (spec.get("RetryStrategy") or {}).get("MaximumRetryAttempts", 0)
    return reason.startswith(INTERNAL) and bool(state.get("retries", 0) < attempts)


def anew(state: Document, resume: float, now: float) -> Document:
    """The state of a job whose containers are gone, and which goes on at ``resume``."""
    kept = {name: state[name] for name in _KEPT if name in state}
    return {**kept, "spent": worked(state, now), "attempt": state.get("attempt", 0) + 1, "resume": resume}


def times(spec: Document, state: Document, now: float, settings: JobSettings) -> Document:
    """TrainingTimeInSeconds and BillableTimeInSeconds; none of a job that never had instances."""
    if "began" not in state and "spent" not in state:
        return {}
    seconds = max(round(worked(state, now)), 1)
    part = 1 - settings.spot_savings / 100 if is_spot(spec) else 1.0
    return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": max(round(seconds * part), 1)}

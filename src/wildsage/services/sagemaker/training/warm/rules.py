"""What a warm pool is, which job may have it, and when it ends. Pure.

Source: Developer Guide, "SageMaker AI Managed Warm Pools"; API reference, WarmPoolStatus, UpdateTrainingJob.
"""

from __future__ import annotations

from typing import Final

from wildsage.core.errors import ValidationError
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

IN_USE: Final = "InUse"
AVAILABLE: Final = "Available"
REUSED: Final = "Reused"
TERMINATED: Final = "Terminated"
LONGEST_SECONDS: Final = 28 * 86_400
"""For so long a pool may go from job to job."""


def check(request: Document) -> None:
    """Raises ValidationError for a job that asks for a pool and cannot have one."""
    if not keep_alive(request):
        return
    if request.get("EnableManagedSpotTraining"):
        raise ValidationError(
            "KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining: there are no warm pools of spot "
            "instances."
        )
    if request["ResourceConfig"].get("InstanceGroups"):
        raise ValidationError(
            "KeepAlivePeriodInSeconds cannot be used with InstanceGroups: there are no warm pools of heterogeneous "
            "clusters."
        )


def keep_alive(spec: Document) -> int:
    """For how many seconds the job's instances are kept; 0 where that is not asked for."""
    seconds: int = (spec.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds") or 0
    return seconds


def identity(spec: Document) -> Document | None:
    """What is the same of all jobs that use a pool one after another; None of a job that can use none.

    The image is not part of it, and KeepAlivePeriodInSeconds neither. Jobs with session tags, which would have to be
    the same too, are refused when they are created.
    """
    resources, network = spec["ResourceConfig"], spec.get("VpcConfig") or {}
    if spec.get("EnableManagedSpotTraining") or resources.get("InstanceGroups"):
        return None
    return {
        "RoleArn": spec["RoleArn"],
        **{
            name: resources.get(name)
            for name in ("InstanceCount", "InstanceType", "VolumeKmsKeyId", "VolumeSizeInGB")
            if resources.get(name)
        },
        **{name: sorted(network.get(name) or ()) for name in ("SecurityGroupIds", "Subnets")},
        **{name: bool(spec.get(name)) for name in ("EnableInterContainerTrafficEncryption", "EnableNetworkIsolation")},
    }


def are_kept(secondary: str, reason: str) -> bool:
    """Whether the instances of a job that ended with ``secondary``, of ``reason``, may go to another.

    They may after success, a stop, an algorithm's and a client's error; after any other they may not be healthy.
    """
    return secondary != "Failed" or reason.startswith(("AlgorithmError", "ClientError"))


def kept_for(state: Document, seconds: int) -> Document:
    """The state of a pool that ends ``seconds`` after it became Available."""
    return {**state, "ends": min(state["available"] + seconds, state["began"] + LONGEST_SECONDS)}


def is_to_be_had(pool: Resource, now: float) -> bool:
    """Whether a job may take it, or change when it ends."""
    return pool.phase == AVAILABLE and "ending" not in pool.state and bool(pool.state["ends"] > now)


def retained(pool: Resource, now: float) -> int:
    """ResourceRetainedBillableTimeInSeconds: for how long nobody has used it since its job ended."""
    return max(round(now - pool.state["available"]), 0) if "available" in pool.state else 0


def status(pool: Resource, now: float) -> Document:
    """WarmPoolStatus."""
    found = {"Status": pool.phase, **pool.status}
    if pool.phase == AVAILABLE:
        found["ResourceRetainedBillableTimeInSeconds"] = retained(pool, now)
    return found

"""``wildsage interrupt``: what EC2 does on AWS, a person does here: the instances of a spot job are taken away."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.kit.context import Platform
from wildsage.kit.kind import edit_resource
from wildsage.services.sagemaker.training import attempts
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

_LONGEST = 30 * 86_400


async def interrupt(platform: Platform, account: str, region: str, params: Document) -> Document:
    """``TrainingJobName``; ``CapacityAfterSeconds``: until there are instances again, 0 unless given.

    The containers get SIGTERM and two minutes; if they do not run yet, they are interrupted as soon as they do.
    """
    name, capacity = params.get("TrainingJobName"), params.get("CapacityAfterSeconds", 0)
    if not isinstance(name, str) or isinstance(capacity, bool) or not isinstance(capacity, int | float):
        raise ValidationError("Give TrainingJobName, a text, and if need be CapacityAfterSeconds, a number.")
    if not 0 <= capacity <= _LONGEST:
        raise ValidationError(f"CapacityAfterSeconds must be from 0 to {_LONGEST}.")
    now = platform.clock.now()

    def change(job: Resource) -> None:
        if not attempts.is_spot(job.spec):
            raise ValidationError(f"{name} is no managed spot training job (EnableManagedSpotTraining).")
        if job.phase != "InProgress" or job.state.get("stage") == "clean":
            raise ValidationError(f"{name} is {job.phase}: there is nothing to interrupt.")
        if "resume" in job.state and "began" not in job.state:
            raise ValidationError(f"{name} is interrupted already.")
        job.state = {**job.state, attempts.INTERRUPTION: {"at": now, "capacity": float(capacity)}}

    await edit_resource(platform, TRAINING_JOB, TRAINING_JOB.key(account, region, name), change)
    return {}

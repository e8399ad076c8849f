"""Warm pools as the operations on training jobs show and change them."""

from __future__ import annotations

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.context import Context
from wildsage.kit.kind import DUE
from wildsage.services.sagemaker.training.kind import TRAINING_JOB
from wildsage.services.sagemaker.training.warm import pools, rules
from wildsage.store.codec import Document
from wildsage.store.companions import Companions
from wildsage.store.resources import Missing, Resource


def may_have_one(job: Resource) -> bool:
    """Whether there is a record to look for."""
    return "pool" in job.state or rules.keep_alive(job.spec) > 0


async def statuses(ctx: Context, jobs: list[Resource]) -> dict[str, Document]:
    """Job's name → the field of Describe and List that only those have that have a pool."""
    names = [job.key.name for job in jobs if may_have_one(job)]
    found = await Companions(ctx.platform.database, pools.WARM_POOL).of(ctx.account, ctx.region, names)
    return {name: {"WarmPoolStatus": rules.status(pool, ctx.now)} for name, pool in found.items()}


async def keep(ctx: Context, job: Resource, seconds: int) -> None:
    """Its pool ends ``seconds`` after the job has, at once if these are over. Raises ValidationError if it has none."""

    def change(pool: Resource) -> None:
        if not rules.is_to_be_had(pool, ctx.now):
            raise _not_available(pool.phase)
        pool.state = rules.kept_for(pool.state, seconds)
        pool.due = pool.state["ends"]

    try:
        await ctx.platform.resources.edit(pools.record(job.key), change)
    except Missing:
        raise _not_available("") from None
    ctx.platform.hints.notify(DUE)


def _not_available(phase: str) -> ValidationError:
    what = f"the status of its warm pool is {phase}" if phase else "the training job has no warm pool"
    return ValidationError(
        "KeepAlivePeriodInSeconds can only be updated while the status of the training job's warm pool is Available, "
        f"and {what}."
    )


async def refuse_to_delete(ctx: Context, job: Resource) -> None:
    """Raises ResourceInUse for a job whose pool is Available (API reference, DeleteTrainingJob)."""
    pool = await ctx.platform.resources.get(pools.record(job.key))
    if pool is not None and pool.phase == rules.AVAILABLE:
        raise ApiError(
            "ResourceInUse",
            f"The training job {TRAINING_JOB.arn(job.key)} retains an Available warm pool. Update its "
            "KeepAlivePeriodInSeconds to 0, or wait for the pool's end, before deleting it.",
        )

"""A control process that is killed in a given stage of a training job, by SIGKILL and by itself.

    python -m tests.unit.services.sagemaker.dying DATA STAGE

The stage's step has a moment: one that is over by then is lost before it is kept, one that takes longer is cut off.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.unit.services.sagemaker.conftest import Server

from wildsage.core.jobs import Interruptions, JobSettings
from wildsage.core.settings import DataDir
from wildsage.kit.controller import Step
from wildsage.services.sagemaker.training.controller import TrainingController
from wildsage.store.resources import Resource

SETTINGS = JobSettings(at_once=1, interruptions=Interruptions("7", 1.0, 1.0))
"""Those of the process that dies; the next one has them, too."""
_MOMENT = 0.3


async def die(data: Path, stage: str) -> None:
    step = TrainingController.step

    async def deadly(self: TrainingController, resource: Resource) -> Step:
        if resource.state.get("stage", "prepare") != stage:
            return await step(self, resource)
        await asyncio.wait({asyncio.ensure_future(step(self, resource))}, timeout=_MOMENT)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed, and still there")

    setattr(TrainingController, "step", deadly)  # noqa: B010, an assignment would be one to a method
    server = Server(DataDir(data))
    server.jobs = SETTINGS
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(die(Path(sys.argv[1]), sys.argv[2]))

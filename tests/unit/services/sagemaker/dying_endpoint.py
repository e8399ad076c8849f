"""A control process that is killed in one of the first steps of an endpoint, by SIGKILL and by itself.

    python -m tests.unit.services.sagemaker.dying_endpoint DATA NUMBER

That step has a moment: one that is over by then is lost before it is kept, one that takes longer is cut off.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

from tests.unit.services.sagemaker.conftest import Server

from wildsage.core.settings import DataDir
from wildsage.kit.controller import Step
from wildsage.services.sagemaker.endpoints.controller import EndpointController
from wildsage.store.resources import Resource

_MOMENT = 0.3


async def die(data: Path, number: int) -> None:
    step, steps = EndpointController.step, itertools.count(1)

    async def deadly(self: EndpointController, resource: Resource) -> Step:
        if next(steps) < number:
            return await step(self, resource)
        await asyncio.wait({asyncio.ensure_future(step(self, resource))}, timeout=_MOMENT)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed, and still there")

    setattr(EndpointController, "step", deadly)  # noqa: B010, an assignment would be one to a method
    await Server(DataDir(data)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(die(Path(sys.argv[1]), int(sys.argv[2])))

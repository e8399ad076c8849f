"""The feeders of a job while it runs: one container beside each instance that has channels in Pipe mode."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection, Mapping
from pathlib import Path

from wildsage.runtimes.base import Handle, Phase, Runtime
from wildsage.services.sagemaker.instance.inputs import pipes

_GRACE = 10.0
_AS_TOLD = 128 + signal.SIGTERM


class Feeders:
    """Finds everything again by its handles, so that whoever comes after a killed control goes on from there."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def launch(self, instances: Mapping[str, Path], below: str = pipes.DATA) -> list[Handle]:
        """Those that are needed; ``instances``: name → folder. ``below``: as in ``pipes.stage``."""
        specs = [pipes.feeder(name, folder, below) for name, folder in instances.items()]
        launching = [self._runtime.launch(spec) for spec in specs if spec is not None]
        outcomes = await asyncio.gather(*launching, return_exceptions=True)
        handles = [each for each in outcomes if not isinstance(each, BaseException)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.remove(handles)  # nobody would find them: they are in no document yet
                raise outcome
        return handles

    async def broken(self, handles: Collection[Handle]) -> str:
        """Waits until one has ended although nobody told it to; why that makes the job fail."""
        waiting = {asyncio.ensure_future(self._runtime.wait(handle)): handle for handle in handles}
        if not waiting:
            await asyncio.Event().wait()
        try:
            ended, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return await self._reason(waiting[ended.pop()])
        finally:
            for each in waiting:
                each.cancel()

    async def finish(self, handles: Collection[Handle]) -> str:
        """Ends them, now that the job has; why the job has not seen all of its data, empty if it has.

        One that broke a moment ago may still look alive; how it ends cannot be mistaken.
        """
        for handle in handles:
            await self._runtime.stop(handle, _GRACE)
            found = await self._runtime.inspect(handle)
            if found.phase is not Phase.EXITED or found.exit_code != _AS_TOLD:
                return await self._reason(handle)
        return ""

    async def remove(self, handles: Collection[Handle]) -> None:
        """Nothing of them is left."""
        for handle in handles:
            await self._runtime.remove(handle)

    async def _reason(self, handle: Handle) -> str:
        log = [line.text async for line in self._runtime.logs(handle)]
        return pipes.failure(await self._runtime.inspect(handle), log)

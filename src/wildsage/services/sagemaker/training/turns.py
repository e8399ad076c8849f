"""How many training jobs run at once: as many as the settings say, first come, first served.

Only in memory: after a restart the jobs that run take their places again before any other may have one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

# Stages whose jobs hold files of their input, and those whose containers run.
_READY = ("download", "turn", "feed", "launch", "train", "stop", "save")
_RUNNING = ("feed", "launch", "train", "stop", "save")


class Gate:
    """Lets ``most`` jobs in at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: set[str] = set()
        self._waiting: OrderedDict[str, asyncio.Future[None]] = OrderedDict()

    def hold(self, job: str) -> None:
        """The job is inside already."""
        self._inside.add(job)

    def take(self, job: str) -> bool:
        """Lets the job in if there is room and nobody waits; whether it is inside."""
        if job not in self._inside and not self._waiting and len(self._inside) < self._most:
            self._inside.add(job)
        return job in self._inside

    async def enter(self, job: str) -> None:
        """Returns once the job is inside."""
        if self.take(job):
            return
        turn = self._waiting[job] = asyncio.get_running_loop().create_future()
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.pop(job, None) is None:  # its turn had come at the same moment
                self.leave(job)
            raise

    def leave(self, job: str) -> None:
        """Makes room for whoever has waited longest; nothing happens if the job is not inside."""
        self._inside.discard(job)
        while self._waiting and len(self._inside) < self._most:
            first, turn = self._waiting.popitem(last=False)
            self._inside.add(first)
            if not turn.done():
                turn.set_result(None)


class Turns:
    """``ready``: may get their input. ``running``: may launch their containers.

    As many more are ready as run, so that a core has work as soon as one ends.
    """

    def __init__(self, at_once: int) -> None:
        self.ready = Gate(2 * at_once)
        self.running = Gate(at_once)

    def begins(self, job: str, stage: str) -> None:
        """A step of the job in ``stage`` begins."""
        if stage in _READY:
            self.ready.hold(job)
        if stage in _RUNNING:
            self.running.hold(job)

    def is_in(self, job: str, stage: str) -> None:
        """Gives back what the job does not need in ``stage``."""
        if stage not in _READY:
            self.ready.leave(job)
        if stage not in _RUNNING:
            self.running.leave(job)

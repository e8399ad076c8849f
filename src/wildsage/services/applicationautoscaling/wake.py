"""An alarm of a scaling policy wakes the policy's target."""

from __future__ import annotations

import asyncio
import logging

from wildsage.core import arn
from wildsage.kit.alarms import POLICY_ALARMED
from wildsage.kit.context import Platform
from wildsage.kit.kind import DUE
from wildsage.services.applicationautoscaling.target import TARGET
from wildsage.store.resources import Key, Missing, Resource

log = logging.getLogger(__name__)


class Wake:
    """Listens for the alarms of one control process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._alarmed: asyncio.Queue[str] = asyncio.Queue()
        platform.hints.listen(POLICY_ALARMED, self._alarmed.put_nowait)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            policy_arn = await self._alarmed.get()
            try:
                await self.wake(policy_arn)
            except OSError as error:
                log.warning(
                    "the target of %s is not woken, it looks by itself some minutes later: %s", policy_arn, error
                )

    async def wake(self, policy_arn: str) -> None:
        """Has the controller look at once. A policy that is gone has no target: then there is nothing to do."""
        found = arn.parse(policy_arn)
        resource_id = found.resource.partition(":resource/sagemaker/")[2].partition(":policyName/")[0]
        now = self._platform.clock.now()

        def change(target: Resource) -> None:
            target.due = now

        try:
            await self._platform.resources.edit(Key(TARGET, found.account, found.region, resource_id), change)
        except Missing:
            return
        self._platform.hints.notify(DUE)

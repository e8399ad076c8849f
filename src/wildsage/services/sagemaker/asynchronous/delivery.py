"""Notices on their way to their topics, published as the role of the model."""

from __future__ import annotations

from wildsage.core.errors import ApiError, ClientFault
from wildsage.kit.context import Platform
from wildsage.kit.courier import Courier
from wildsage.kit.logstreams import LogStream
from wildsage.services.sagemaker.asynchronous.counts import Counts
from wildsage.services.sagemaker.asynchronous.ending import BOX
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT, log_group
from wildsage.services.sagemaker.instance import permitted, roles
from wildsage.store.outbox import Waiting
from wildsage.store.resources import Key


class Notices:
    """Delivers them. What SNS refuses for good is told in the log and counted."""

    def __init__(self, platform: Platform, counts: Counts) -> None:
        self._platform = platform
        self._counts = counts

    async def run(self) -> None:
        """Until cancelled."""
        await Courier(self._platform, BOX, self._deliver).run()

    async def _deliver(self, waiting: Waiting) -> float | None:
        letter = waiting.letter.document
        params = {"TopicArn": letter["Topic"], "Message": letter["Message"]}
        try:
            caller = await roles.assume(self._platform, letter["Role"])
            await self._platform.calls.call(caller, letter["Region"], "sns", "Publish", params)
        except ClientFault as error:
            await self._refused(letter, str(error))
        except ApiError as error:
            if error.status >= 500:
                raise
            await self._refused(letter, f"{error.code}: {error.message}")
        return None

    async def _refused(self, letter: dict[str, str], words: str) -> None:
        name, variant = letter["Endpoint"], letter["Stream"].partition("/")[0]
        self._counts.add(Key(ENDPOINT.name, letter["Account"], letter["Region"], name), variant, "NotificationFailures")
        stream = LogStream(letter["Account"], letter["Region"], log_group(name), letter["Stream"])
        text = f"[sagemaker logs] The notification could not be published to {letter['Topic']}: {words}"
        await permitted.reporter(self._platform, letter["Role"], stream)(text)

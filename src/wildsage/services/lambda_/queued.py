"""Asynchronous events: kept until they are worked on, tried three times.

Source: Developer Guide, "How Lambda handles errors and retries with asynchronous invocation": function errors are tried
twice more, one and two minutes later; throttled and failed starts for up to six hours.
"""

from __future__ import annotations

import base64
import logging

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context, Platform
from wildsage.kit.courier import Courier, topic_of
from wildsage.services.lambda_.functions import PENDING
from wildsage.services.lambda_.names import KIND
from wildsage.services.lambda_.workers.events import Event
from wildsage.services.lambda_.workers.pool import Workers
from wildsage.services.lambda_.workers.program import program_of
from wildsage.store.outbox import Letter, Outbox, Waiting
from wildsage.store.resources import Key

log = logging.getLogger(__name__)

_BOX = "lambda"
_MOST_ATTEMPTS = 3
_LONGEST_SECONDS = 6 * 3600.0
_BUSY_SECONDS = 5.0


async def add(ctx: Context, function: Key, event: Event) -> None:
    """Durable on return."""
    document = {
        "function": [function.account, function.region, function.name],
        "request": event.request_id,
        "payload": base64.b64encode(event.payload).decode(),
        "context": event.client_context,
        "since": ctx.now,
    }
    await Outbox(ctx.platform.database, _BOX).add([Letter(document)], ctx.now)
    ctx.platform.hints.notify(topic_of(_BOX))


class Deliveries:
    """Brings events to their functions."""

    def __init__(self, platform: Platform, workers: Workers) -> None:
        self._platform = platform
        self._workers = workers

    async def run(self) -> None:
        """Until cancelled."""
        await Courier(self._platform, _BOX, self._deliver).run()

    async def _deliver(self, waiting: Waiting) -> float | None:
        """See ``kit.courier.Deliver``. An attempt that was throttled counts among the three that a failure has."""
        document = waiting.letter.document
        function = await self._platform.resources.get(Key(KIND, *document["function"]))
        if function is None:
            return None
        event = Event(document["request"], base64.b64decode(document["payload"]), document["context"])
        late = self._platform.clock.now() - document["since"] > _LONGEST_SECONDS
        if function.phase == PENDING:
            return _BUSY_SECONDS
        try:
            outcome = await self._workers.invoke(program_of(function, self._platform.settings), event)
        except ApiError as refused:
            if late:
                log.warning("event %s of %s is given up: %s", event.request_id, function.key.name, refused)
            return None if late else _BUSY_SECONDS
        if not outcome.error or waiting.attempts + 1 >= _MOST_ATTEMPTS or late:
            return None
        return self._platform.settings.functions.retry * (waiting.attempts + 1)

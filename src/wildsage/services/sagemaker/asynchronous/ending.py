"""The end of a request: its notice and its line in the log, in the transaction that takes it out of the queue.

So nobody hears twice of a request, and none is forgotten, whenever the process ends.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from wildsage.kit.context import Platform
from wildsage.kit.courier import topic_of
from wildsage.kit.logstreams import LogStream
from wildsage.services.sagemaker.asynchronous import notices
from wildsage.services.sagemaker.asynchronous.answering import Attempt
from wildsage.services.sagemaker.asynchronous.counts import Counts
from wildsage.services.sagemaker.asynchronous.lines import Hosts, Place
from wildsage.services.sagemaker.endpoints.kind import log_group
from wildsage.services.sagemaker.instance import permitted
from wildsage.store.facts import Fact
from wildsage.store.outbox import Letter
from wildsage.store.queued import Answered, Queued, QueuedRequests

BOX = "notices of asynchronous endpoints"
DATA_LOG = "data-log"
"""The last part of the name of the stream that says what became of requests ("platform log", Developer Guide)."""


def stream_of(hosts: Hosts, place: Place | None) -> LogStream:
    """Of the instance that had the request; of the variant where none had it."""
    name = f"{place.variant}/{place.instance}" if place else hosts.variants[0]
    return LogStream(hosts.key.account, hosts.key.region, log_group(hosts.key.name), f"{name}/{DATA_LOG}")


class Endings:
    """Writes down how requests ended."""

    def __init__(self, platform: Platform, counts: Counts) -> None:
        self._platform = platform
        self._counts = counts
        self._requests = QueuedRequests(platform.database)
        self._streams: dict[LogStream, bool] = {}

    async def settle(self, request: Queued, hosts: Hosts, place: Place | None, attempt: Attempt, began: float) -> None:
        """The request is over; nothing happens if it was already, or its endpoint is gone."""
        now = self._platform.clock.now()
        stream = stream_of(hosts, place)
        role = place.role if place else hosts.role
        if stream not in self._streams:
            self._streams[stream] = await permitted.opened(self._platform, role, stream)
        letters = []
        if topic := notices.topic(hosts.config, attempt.end):
            message = notices.message(request, hosts.key.name, hosts.key.region, hosts.config, attempt.end, now)
            about = {"Stream": stream.name, "Endpoint": hosts.key.name, "Account": hosts.key.account}
            letters.append(
                Letter({**about, "Topic": topic, "Role": role, "Region": hosts.key.region, "Message": message})
            )
        at = round(now * 1000)
        lines = [Fact(stream.name, at, at, _line(request, attempt, began, now))] if self._streams[stream] else []
        with suppress(Answered):
            await self._requests.settle(request.number, stream.topic, lines, BOX, letters, now)
            self._count(request, hosts, place, attempt, began, now)
            if letters:
                self._platform.hints.notify(topic_of(BOX))

    def _count(
        self, request: Queued, hosts: Hosts, place: Place | None, attempt: Attempt, began: float, now: float
    ) -> None:
        variant = place.variant if place else hosts.variants[0]
        found = {
            **attempt.measured,
            "InvocationsProcessed": 1.0,
            "TimeInBacklog": float(round((began - request.received) * 1e6)),
            "TotalProcessingTime": float(round((now - request.received) * 1e3)),
        }
        if attempt.end.failure:
            found["InvocationFailures"] = 1.0
        for name, value in found.items():
            self._counts.add(hosts.key, variant, name, max(value, 0.0))


def _line(request: Queued, attempt: Attempt, began: float, now: float) -> str:
    """As the platform log of asynchronous endpoints has it."""
    end, measured = attempt.end, attempt.measured
    if attempt.words:
        what = f'{end.failure.partition(". See")[0].partition(": ")[2]} with message "{attempt.words}"'
    elif end.failure:
        what = end.failure
    else:
        times = [
            f"{name}: {measured[name]:.0f} us"
            for name in ("ModelLatency", "RequestDownloadLatency", "ResponseUploadLatency")
            if name in measured
        ]
        times.append(f"TimeInBacklog: {(began - request.received) * 1e3:.0f} ms")
        times.append(f"TotalProcessingTime: {(now - request.received) * 1e3:.0f} ms")
        what = f"Inference request succeeded. {', '.join(times)}"
    time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return f"{time}:[sagemaker logs] [{request.document['InferenceId']}] {what}"

"""Metrics of asynchronous endpoints (Developer Guide, "Monitoring with CloudWatch" of asynchronous endpoints).

What requests came to is gathered here and published at every look, with the backlog as it is then; a crash loses what
was counted since the last look, a minute at most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from wildsage.services.sagemaker.asynchronous.lines import Hosts
from wildsage.store.metrics import Datum, Metric
from wildsage.store.queued import Backlog
from wildsage.store.resources import Key
from wildsage.store.summaries import of_values

NAMESPACE = "AWS/SageMaker"
MICROSECONDS, MILLISECONDS, COUNT, SECONDS = "Microseconds", "Milliseconds", "Count", "Seconds"
UNITS: Mapping[str, str] = {
    "RequestDownloadFailures": COUNT,
    "ResponseUploadFailures": COUNT,
    "NotificationFailures": COUNT,
    "RequestDownloadLatency": MICROSECONDS,
    "ResponseUploadLatency": MICROSECONDS,
    "ExpiredRequests": COUNT,
    "InvocationFailures": COUNT,
    "InvocationsProcessed": COUNT,  # the Developer Guide misspells it
    "TimeInBacklog": MICROSECONDS,
    "TotalProcessingTime": MILLISECONDS,
    "ModelLatency": MICROSECONDS,
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
}
_Series = tuple[Key, str, str]


class Counts:
    """Of one control process. ``high``: values are kept by the second, for scaling that looks sooner than AWS's."""

    def __init__(self, high: bool) -> None:
        self._high = high
        self._values: dict[_Series, Counter[float]] = defaultdict(Counter)

    def add(self, endpoint: Key, variant: str, name: str, value: float = 1.0) -> None:
        """One value of a metric of UNITS."""
        self._values[endpoint, variant, name][value] += 1

    def taken(self, at: float) -> list[Datum]:
        """What was added since the last time."""
        values, self._values = self._values, defaultdict(Counter)
        return [
            Datum(
                _metric(endpoint, name, ("VariantName", variant)),
                at,
                of_values({value: float(count) for value, count in found.items()}),
                UNITS[name],
                self._high,
            )
            for (endpoint, variant, name), found in values.items()
        ]

    def of_backlogs(self, hosts: Iterable[Hosts], backlogs: Mapping[str, Backlog], at: float) -> Iterator[Datum]:
        """The queue of each endpoint as it is. Without instances there is no backlog of each."""
        for each in hosts:
            backlog = backlogs.get(each.uid, Backlog())
            instances = len(each.places)
            age = 0.0 if backlog.oldest is None else max(at - backlog.oldest, 0.0)
            found = {
                "ApproximateBacklogSize": (float(backlog.count), COUNT),
                "HasBacklogWithoutCapacity": (float(backlog.count > 0 and not instances), COUNT),
                "ApproximateAgeOfOldestRequest": (age, SECONDS),
            }
            if instances:
                found["ApproximateBacklogSizePerInstance"] = (backlog.count / instances, COUNT)
            for name, (value, unit) in found.items():
                yield Datum(_metric(each.key, name), at, of_values({value: 1.0}), unit, self._high)


def _metric(endpoint: Key, name: str, *more: tuple[str, str]) -> Metric:
    dimensions = (("EndpointName", endpoint.name), *more)
    return Metric(endpoint.account, endpoint.region, NAMESPACE, name, dimensions)

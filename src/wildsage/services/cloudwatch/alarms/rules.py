"""What PutMetricAlarm and PutCompositeAlarm take. Pure.

Source: API reference, PutMetricAlarm; CloudWatch User Guide, "Alarms", limits.
"""

from __future__ import annotations

from collections.abc import Sequence

from wildsage.core import arn
from wildsage.kit.alarms import is_scaling_policy
from wildsage.services.cloudwatch import names, queries, statistics
from wildsage.services.cloudwatch.alarms.decision import COMPARISONS
from wildsage.store.codec import Document

ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
_MISSING = ("breaching", "notBreaching", "ignore", "missing")
_UNHEEDED = ("ThresholdMetricId", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval")
_UNHEEDED_OF_COMPOSITES = (
    "ActionsSuppressor",
    "ActionsSuppressorWaitPeriod",
    "ActionsSuppressorExtensionPeriod",
)
_LONGEST_DAY, _LONGEST_WEEK = 86400, 7 * 86400
_WALL_CLOCK = (60, 300, 3600, 86400, 604800)
_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")


def check_metric_alarm(account: str, region: str, request: Document) -> None:
    """Raises ValidationError and its like."""
    _check_unheeded(request, (*_UNHEEDED, "ActionConfiguration"))
    check_actions(request)
    for member in ("EvaluationPeriods", "Threshold", "ComparisonOperator"):
        if request.get(member) is None:
            raise names.missing(f"The parameter {member} is required.")
    if request["ComparisonOperator"] not in COMPARISONS:
        raise names.refused(
            f"Wildsage does not have anomaly detection: ComparisonOperator must be one of {', '.join(COMPARISONS)}."
        )
    needed = request.get("DatapointsToAlarm")
    if needed is not None and needed > request["EvaluationPeriods"]:
        raise names.refused("DatapointsToAlarm must not be greater than EvaluationPeriods.")
    if request.get("TreatMissingData") not in (None, *_MISSING):
        raise names.refused(f"TreatMissingData must be one of {', '.join(_MISSING)}.")
    if request.get("EvaluateLowSampleCountPercentile") not in (None, "evaluate", "ignore"):
        raise names.refused("EvaluateLowSampleCountPercentile must be evaluate or ignore.")
    period = _check_metrics(account, region, request) if request.get("Metrics") else _check_metric(request)
    window = request["EvaluationPeriods"] * period
    if window > (_LONGEST_DAY if period < 3600 else _LONGEST_WEEK):
        raise names.refused("Metrics cannot be checked across more than a day (EvaluationPeriods * Period).")
    _check_window(request, period)


def check_actions(request: Document) -> None:
    """Raises ValidationError for what is neither a topic of SNS nor, of AlarmActions, a scaling policy."""
    for member in ACTIONS:
        for action in request.get(member) or ():
            try:
                service = arn.parse(action).service
            except ValueError:
                raise names.refused(f"Invalid arn syntax: {action}") from None
            if service != "sns" and not (member == "AlarmActions" and is_scaling_policy(action)):
                raise names.refused(
                    "Wildsage runs actions of SNS topics, and among AlarmActions scaling policies of SageMaker's "
                    f"endpoints, not {action} of {member}."
                )


def check_composite(request: Document) -> None:
    """Raises ValidationError."""
    _check_unheeded(request, (*_UNHEEDED_OF_COMPOSITES, "ActionConfiguration"))
    check_actions(request)


def _check_unheeded(request: Document, members: Sequence[str]) -> None:
    for member in members:
        if request.get(member) is not None:
            raise names.refused(f"Wildsage does not have {member} of alarms: leave it out.")


def _check_metric(request: Document) -> int:
    """An alarm on one metric; its period."""
    for member in ("MetricName", "Namespace", "Period"):
        if request.get(member) is None:
            raise names.missing(f"The parameter {member} is required, or Metrics.")
    simple, extended = request.get("Statistic"), request.get("ExtendedStatistic")
    if (simple is None) == (extended is None):
        raise names.missing("Exactly one of the parameters Statistic and ExtendedStatistic must be specified.")
    statistics.parse(str(simple or extended))
    names.check_period(request["Period"])
    names.dimensions_of(request.get("Dimensions"))
    period: int = request["Period"]
    return period


def _check_metrics(account: str, region: str, request: Document) -> int:
    """An alarm on metric math; the period of what it watches."""
    both = [member for member in _ONE_METRIC if request.get(member)]
    if both:
        raise names.combination(f"The parameters Metrics and {both[0]} are mutually exclusive.")
    asked = queries.read(account, region, request["Metrics"])
    if sum(query.returned for query in asked) != 1:
        raise names.refused("Exactly one element of the metrics list should return data.")
    return period_of(asked)


def period_of(asked: Sequence[queries.Query]) -> int:
    """The one period of what queries watch. Raises ValidationError if they have several, or none."""
    periods = {query.what.period for query in asked if isinstance(query.what, queries.Stat)}
    if len(periods) != 1:
        raise names.refused("Period must be the same for all metrics of an alarm, and there must be one.")
    return periods.pop()


def _check_window(request: Document, period: int) -> None:
    window = request.get("EvaluationWindow") or {}
    clock = window.get("WallClockWindow")
    if clock is None:
        return
    if period not in _WALL_CLOCK:
        raise names.refused("Period must be 60, 300, 3600, 86400 or 604800 with a wall clock window.")
    if clock.get("Timezone") not in (None, "UTC", "+00:00"):
        raise names.refused("Wildsage has wall clock windows in UTC only: leave Timezone out.")

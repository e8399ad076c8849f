"""Errors of CloudWatch in its words, and what names a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.store.codec import Document
from wildsage.store.metrics import Metric

RESERVED = "AWS/"
_HIGH_PERIODS = (1, 5, 10, 20, 30)


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterValue", message)


def combination(message: str) -> ApiError:
    return ApiError("InvalidParameterCombination", message)


def missing(message: str) -> ApiError:
    return ApiError("MissingParameter", message)


def refused(message: str) -> ApiError:
    """The service's ValidationError."""
    return ApiError("ValidationError", message)


def bad_token() -> ApiError:
    return ApiError("InvalidNextToken", "The NextToken is not one of this operation's.")


def dimensions_of(given: Sequence[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    """In the order of their names; raises InvalidParameterValue for a name that comes twice."""
    found = sorted((each["Name"], each["Value"]) for each in given or ())
    if len({name for name, _ in found}) < len(found):
        raise invalid("No duplicate dimensions are allowed in the same metric.")
    return tuple(found)


def shown(dimensions: Sequence[tuple[str, str]]) -> list[Document]:
    """The inverse of ``dimensions_of``."""
    return [{"Name": name, "Value": value} for name, value in dimensions]


def metric_of(ctx: Context, request: Document) -> Metric:
    """The metric that Namespace, MetricName and Dimensions of ``request`` name."""
    dimensions = dimensions_of(request.get("Dimensions"))
    return Metric(ctx.account, ctx.region, request["Namespace"], request["MetricName"], dimensions)


def check_period(period: int) -> None:
    """Raises InvalidParameterValue."""
    if period not in _HIGH_PERIODS and period % 60:
        raise invalid("The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60.")

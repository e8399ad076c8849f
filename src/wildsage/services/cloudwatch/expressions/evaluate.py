"""From an expression's tree to its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.expressions.arithmetic import SIGNS, combine
from wildsage.services.cloudwatch.expressions.functions import FUNCTIONS, UNKNOWN
from wildsage.services.cloudwatch.expressions.parse import Array, Call, Name, Node, Number, Text
from wildsage.services.cloudwatch.expressions.values import Series, Span, Value

_WORDS = frozenset(("REPEAT", "LINEAR", "ASC", "DESC", "AVG", "MAX", "MIN", "SUM", "STDDEV"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``values``: id → value of the other queries; ``metrics``: the ids of those that are no expressions."""

    values: Mapping[str, Value]
    metrics: tuple[str, ...]
    span: Span


def evaluate(tree: Node, around: Surroundings) -> Value:
    """Raises ValidationError for what cannot be calculated, and by its name for a function that is not there."""
    match tree:
        case Number(value):
            return value
        case Text(text):
            return text
        case Name(name):
            return _named(name, around)
        case Array(items):
            return [each for item in items for each in _listed(evaluate(item, around))]
        case Call("METRICS", arguments):
            return _metrics(arguments, around)
        case Call("negative", (operand,)):
            return combine("*", evaluate(operand, around), -1.0)
        case Call(sign, (left, right)) if sign in SIGNS:
            return combine(sign, evaluate(left, around), evaluate(right, around))
        case Call(function, arguments):
            return _called(function, arguments, around)
    raise TypeError(f"no expression: {tree!r}")


def _named(name: str, around: Surroundings) -> Value:
    if name in around.values:
        return around.values[name]
    if name.upper() in _WORDS:
        return name.upper()
    raise names.refused(f"Error in expression: no query has the id {name}.")


def _listed(value: Value) -> list[Series]:
    if isinstance(value, Series):
        return [value]
    if isinstance(value, list):
        return value
    raise names.refused("Error in expression: an array holds time series.")


def _metrics(arguments: tuple[Node, ...], around: Surroundings) -> list[Series]:
    wanted = ""
    match arguments:
        case ():
            pass
        case (Text(wanted),):
            pass
        case _:
            raise names.refused("Error in expression: METRICS takes nothing, or a part of ids in quotation marks.")
    return [each for name in around.metrics if wanted in name for each in _listed(around.values[name])]


def _called(function: str, arguments: tuple[Node, ...], around: Surroundings) -> Value:
    if function in UNKNOWN:
        raise names.refused(f"Error in expression: Wildsage does not have the function {function}.")
    if function not in FUNCTIONS:
        raise names.refused(f"Error in expression: there is no function {function}.")
    apply, counts = FUNCTIONS[function]
    if len(arguments) not in counts:
        words = " or ".join(map(str, counts))
        raise names.refused(f"Error in expression: {function} takes {words} arguments, not {len(arguments)}.")
    given = [evaluate(each, around) for each in arguments]
    try:
        return apply(given, around.span)
    except ArithmeticError:
        raise names.refused(f"Error in expression: {function} of these values is no number.") from None

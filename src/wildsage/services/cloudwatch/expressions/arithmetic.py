"""Operations between numbers, series and arrays of series."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from wildsage.services.cloudwatch import names
from wildsage.services.cloudwatch.expressions.values import Series, Value

_TRUE, _FALSE = 1.0, 0.0


def _divided(left: float, right: float) -> float:
    return left / right


_OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": math.fmod,
    "^": math.pow,
    "==": lambda left, right: _TRUE if left == right else _FALSE,
    "!=": lambda left, right: _TRUE if left != right else _FALSE,
    "<": lambda left, right: _TRUE if left < right else _FALSE,
    ">": lambda left, right: _TRUE if left > right else _FALSE,
    "<=": lambda left, right: _TRUE if left <= right else _FALSE,
    ">=": lambda left, right: _TRUE if left >= right else _FALSE,
    "&&": lambda left, right: _TRUE if left and right else _FALSE,
    "||": lambda left, right: _TRUE if left or right else _FALSE,
}
SIGNS = frozenset(_OPERATIONS)


def combine(sign: str, left: Value, right: Value) -> Value:
    """Series are combined moment by moment, where both have a value. Raises ValidationError."""
    if isinstance(left, str) or isinstance(right, str):
        raise names.refused(f"Error in expression: {sign} cannot be used with text.")
    if isinstance(left, list):
        if isinstance(right, list):
            raise names.refused(f"Error in expression: {sign} cannot be used between two arrays of time series.")
        return [_series(sign, each, right) for each in left]
    if isinstance(right, list):
        return [_series(sign, left, each) for each in right]
    if isinstance(left, float) and isinstance(right, float):
        found = calculate(sign, left, right)
        if found is None:
            raise names.refused(f"Error in expression: {left} {sign} {right} has no value.")
        return found
    return _series(sign, left, right)


def calculate(sign: str, left: float, right: float) -> float | None:
    """None where there is no result: a division by zero, say."""
    try:
        found = _OPERATIONS[sign](left, right)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _series(sign: str, left: Series | float, right: Series | float) -> Series:
    if isinstance(left, Series) and isinstance(right, Series):
        if left.period != right.period:
            raise names.refused(f"Error in expression: {sign} needs time series of the same period.")
        other = right.values
        pairs = {at: calculate(sign, value, other[at]) for at, value in left.values.items() if at in other}
        return Series({at: value for at, value in pairs.items() if value is not None}, left.period)
    if isinstance(left, Series):
        number = right
        assert isinstance(number, float)
        return left.mapped(lambda value: calculate(sign, value, number))
    assert isinstance(right, Series)
    return right.mapped(lambda value: calculate(sign, left, value))

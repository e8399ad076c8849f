"""Hyperparameters of the images that share Amazon's algorithm framework (all but XGBoost's).

They come as strings.  What is not declared is refused, as is a value out of range; the words are those of the images,
which check against a JSON schema.  Ranges: the "hyperparameters" page of each algorithm in the Developer Guide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .errors import CustomerError

_TRUE, _FALSE = ("true", "1"), ("false", "0")

# For the framework beneath the algorithms: kept, shown in the log, and of no consequence here.
_FRAMEWORK = (  # noqa: SIM905
    "_disable_wait_to_read _enable_profiler _ftp_port _kvstore _log_level _num_gpus _num_kv_servers _num_slices "
    "_tuning_objective_metric force_dense"
).split()


class Parameter(NamedTuple):
    """One hyperparameter. ``default`` None: it has none.

    ``kind``: integer, number, boolean, text or list (a JSON list of ``choices``). ``low`` and ``high`` belong to the
    range unless ``open_low``/``open_high``. ``auto``: the word "auto" is a value too. A number may have ``choices``
    besides: words that stand for one.
    """

    kind: str
    default: str | None = None
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: Sequence[str] = ()
    auto: bool = False
    required: bool = False


def integer(default: str | None = None, low: float = 1, high: float = math.inf, **more: Any) -> Parameter:
    return Parameter("integer", default, low, high, **more)


def number(default: str | None = None, low: float = -math.inf, high: float = math.inf, **more: Any) -> Parameter:
    return Parameter("number", default, low, high, **more)


def boolean(default: str | None = None, **more: Any) -> Parameter:
    return Parameter("boolean", default, **more)


def choice(default: str | None, *choices: str, **more: Any) -> Parameter:
    return Parameter("text", default, choices=choices, **more)


def choices_of(default: str, *choices: str) -> Parameter:
    """A JSON list of these."""
    return Parameter("list", default, choices=choices)


Declared = Mapping[str, Parameter]


def defaults(declared: Declared) -> dict[str, str]:
    """What an image's default-input.json holds."""
    return {name: each.default for name, each in declared.items() if each.default is not None}


def check(declared: Declared, given: Mapping[str, str]) -> dict[str, Any]:
    """Name → value: int, float, bool, str, list, or the word "auto"; None where there is neither value nor default.

    Raises CustomerError for an unknown name, a missing one, and a value that is not allowed.
    """
    unknown = [name for name in given if name not in declared and name not in _FRAMEWORK]
    if unknown:
        names = ", ".join(f"'{name}'" for name in sorted(unknown))
        were = "was" if len(unknown) == 1 else "were"
        raise CustomerError(
            f"Additional hyperparameters are not allowed ({names} {were} unexpected)",
            f"Additional properties are not allowed ({names} {were} unexpected)",
        )
    missing = [name for name, each in declared.items() if each.required and name not in given]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise CustomerError(
            f"No value(s) were specified for {names} which are required hyperparameter(s)",
            f"'{missing[0]}' is a required property",
        )
    texts = {**defaults(declared), **given}
    return {name: _value(name, each, texts[name]) if name in texts else None for name, each in declared.items()}


def _value(name: str, declared: Parameter, text: Any) -> Any:
    text = str(text).strip()
    if (declared.auto and text == "auto") or (declared.kind == "number" and text in declared.choices):
        return text
    try:
        value = _parsed(declared, text)
    except ValueError:
        wanted = f"one of {list(declared.choices)}" if declared.choices else f"of type '{declared.kind}'"
        raise _refused(name, f"'{text}' is not {wanted}") from None
    if declared.kind in ("integer", "number"):
        if value < declared.low or (declared.open_low and value == declared.low):
            raise _refused(name, f"{value} is less than{_or_equal(declared.open_low)} the minimum of {declared.low}")
        if value > declared.high or (declared.open_high and value == declared.high):
            raise _refused(
                name, f"{value} is greater than{_or_equal(declared.open_high)} the maximum of {declared.high}"
            )
    return value


def _or_equal(is_open: bool) -> str:
    return " or equal to" if is_open else ""


def _parsed(declared: Parameter, text: str) -> Any:
    if declared.kind == "integer":
        value = float(text)
        if not value.is_integer():
            raise ValueError(text)
        return int(value)
    if declared.kind == "number":
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text)
        return value
    if declared.kind == "boolean":
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    if declared.kind == "list":
        return _list(declared, text)
    if text not in declared.choices:
        raise ValueError(text)
    return text


def _list(declared: Parameter, text: str) -> list[str]:
    found = json.loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(found, list) or any(each not in declared.choices for each in found):
        raise ValueError(text)
    return found


def _refused(name: str, cause: str) -> CustomerError:
    return CustomerError(f"The value of hyperparameter '{name}' is not valid: {cause}", cause)

"""The model's constraints, checked as AWS's servers check them and reported in their words.

botocore's client checks types, required members and minima only; servers check everything.  Wording: as answered by
SageMaker, Lambda and IAM ("N validation errors detected: Value '…' at '…' failed to satisfy constraint: …").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from wildsage.core.errors import ApiError, ValidationError
from wildsage.wire.model import Operation, Shape
from wildsage.wire.patterns import matches

_NOT_NULL = "Member must not be null"
_MAX_SHOWN = 4096  # characters of a value in a message
_MOST_FOUND = 50  # violations in a message
_MAX_MATCHED = 16 * 1024  # characters; what is longer than its shape allows anyway is not held against the pattern too
_STRINGS = ("string", "character")
_NUMBERS = ("integer", "long", "float", "double")
# Services whose code for this is not ValidationException.
_CODES = {
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "iam": "ValidationError",
    "sns": "ValidationError",
    "sts": "ValidationError",
    "cloudwatch": "ValidationError",
    "sagemaker-runtime": "ValidationError",
    "sagemaker-featurestore-runtime": "ValidationError",
}


class Violation(NamedTuple):
    """``path``: ``inputDataConfig.1.member.channelName``. ``shape``: None where a required member is missing."""

    path: str
    value: Any
    constraint: str
    shape: Shape | None
    top: Shape | None

    def __str__(self) -> str:
        sensitive = self.shape is not None and self.shape.traits.get("sensitive")
        shown = "" if sensitive else f" {_quoted(self.value)}"
        return f"Value{shown} at '{self.path}' failed to satisfy constraint: {self.constraint}"


def validate(operation: Operation, params: Mapping[str, Any]) -> None:
    """Raises ValidationError (or, for S3, ApiError with S3's codes) if ``params`` break the model."""
    if operation.input is None:
        return
    found = list(islice(_structure(operation.input, params, ""), _MOST_FOUND))
    if not found:
        return
    if operation.service.name == "s3":
        raise _s3_error(operation.input, found[0])
    if operation.service.name == "sqs":
        raise _sqs_error(found[0])
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    error = ValidationError(count + "; ".join(str(violation) for violation in found))
    error.code = _CODES.get(operation.service.name, error.code)
    raise error


def _structure(shape: Shape, value: Mapping[str, Any], prefix: str, top: Shape | None = None) -> Iterator[Violation]:
    if shape.document:
        return
    for name in shape.required:
        if value.get(name) is None:
            yield Violation(prefix + _lower(name), None, _NOT_NULL, None, top or shape.members[name])
    for name, item in value.items():
        member = shape.members.get(name)
        if member is not None and item is not None:
            yield from _value(member, item, prefix + _lower(name), top or member)


def _value(shape: Shape, value: Any, path: str, top: Shape) -> Iterator[Violation]:
    if shape.kind == "structure":
        yield from _structure(shape, value, f"{path}.", top)
        return
    constraints = broken(shape, value)
    for constraint in constraints:
        yield Violation(path, value, constraint, shape, top)
    if constraints:
        return  # what a list of too many holds is not worth the time
    if shape.kind == "list":
        yield from _list(shape, value, path, top)
    elif shape.kind == "map":
        yield from _map(shape, value, path, top)


def _list(shape: Shape, value: list[Any], path: str, top: Shape) -> Iterator[Violation]:
    member = shape.member
    if member.kind in ("structure", "list", "map"):
        for number, item in enumerate(value, 1):
            if item is None:
                yield Violation(f"{path}.{number}.member", None, _NOT_NULL, None, top)
            else:
                yield from _value(member, item, f"{path}.{number}.member", top)
    elif any(item is None or broken(member, item) for item in value):
        yield Violation(path, value, f"Member must satisfy constraint: [{_all_of(member)}]", shape, top)


def _map(shape: Shape, value: Mapping[str, Any], path: str, top: Shape) -> Iterator[Violation]:
    if any(broken(shape.key, key) for key in value):
        words = f"Map keys must satisfy constraint: [{_all_of(shape.key)}]"
        yield Violation(path, value, words, shape, top)
    member = shape.value
    if member.kind in ("structure", "list", "map"):
        for key, item in value.items():
            if item is None:
                yield Violation(f"{path}.{key}.member", None, _NOT_NULL, None, top)
            else:
                yield from _value(member, item, f"{path}.{key}.member", top)
    elif any(item is None or broken(member, item) for item in value.values()):
        yield Violation(path, value, f"Map value must satisfy constraint: [{_all_of(member)}]", shape, top)


def broken(shape: Shape, value: Any) -> list[str]:
    """The shape's own constraints that ``value`` breaks, in AWS's words; members are not looked at."""
    traits = shape.traits
    kind = shape.kind
    words: list[str] = []
    if kind in _STRINGS:
        if not isinstance(value, str):
            return words
        if "enum" in traits and value not in traits["enum"]:
            words.append(_enum(shape))
        too_long = False
        if "max" in traits or "min" in traits:
            words += _bounds(shape, _length(value), "length")
            too_long = len(value) > min(traits.get("max", _MAX_MATCHED), _MAX_MATCHED)
        if "pattern" in traits and not (too_long and len(value) > _MAX_MATCHED):
            words += [] if matches(traits["pattern"], value) else [_pattern(shape)]
    elif kind in _NUMBERS:
        words += _bounds(shape, value, "value")
    elif kind in ("list", "map") or isinstance(value, bytes):
        words += _bounds(shape, len(value), "length")
    return words


def _length(value: str) -> int:
    """UTF-16 code units, which Java counts."""
    return len(value) if value.isascii() else len(value.encode("utf-16-le")) // 2


def _bounds(shape: Shape, measure: float, noun: str) -> list[str]:
    words: list[str] = []
    most, least = shape.traits.get("max"), shape.traits.get("min")
    if most is not None and measure > most:
        words.append(f"Member must have {noun} less than or equal to {most}")
    if least is not None and measure < least:
        words.append(f"Member must have {noun} greater than or equal to {least}")
    return words


def _all_of(shape: Shape) -> str:
    """Every constraint of a shape: elements of collections are reported by what they had to satisfy."""
    traits = shape.traits
    noun = "value" if shape.kind in _NUMBERS else "length"
    words: list[str] = []
    if "max" in traits:
        words.append(f"Member must have {noun} less than or equal to {traits['max']}")
    if "min" in traits:
        words.append(f"Member must have {noun} greater than or equal to {traits['min']}")
    if "pattern" in traits:
        words.append(_pattern(shape))
    if "enum" in traits:
        words.append(_enum(shape))
    return ", ".join(words or [_NOT_NULL])


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.traits['pattern']}"


def _enum(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.traits['enum'])}]"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _quoted(value: Any) -> str:
    return "null" if value is None else f"'{_java(value)}'"


def _java(value: Any) -> str:
    """As Java prints it; what is long is cut."""
    text = ""
    for piece in _pieces(value):
        text += piece[: _MAX_SHOWN + 1]
        if len(text) > _MAX_SHOWN:
            return f"{text[:_MAX_SHOWN]}..."
    return text


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, Mapping):
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f", {key}=" if number else f"{key}="
            yield from _pieces(item)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for number, item in enumerate(value):
            yield ", " if number else ""
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, bytes):
        yield f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    else:
        yield "null" if value is None else str(value)


def _sqs_error(violation: Violation) -> ApiError:
    """SQS has codes of its own, from its query protocol (API reference, "Common Error Types")."""
    name = violation.path[:1].upper() + violation.path[1:]
    if violation.shape is None:
        return ApiError("MissingParameter", f"The request must contain the parameter {name}.", 400)
    shape = violation.shape
    if shape.kind == "map" and shape.key.name == "QueueAttributeName":
        unknown = next((key for key in violation.value if broken(shape.key, key)), "")
        return ApiError("InvalidAttributeName", f"Unknown Attribute {unknown}.", 400)
    words = f"Value {_java(violation.value)} for parameter {name} is invalid. Reason: {violation.constraint}."
    return ApiError("InvalidParameterValue", words, 400)


def _s3_error(shape: Shape, violation: Violation) -> ApiError:
    """S3 knows no validation errors: what is wrong in a body is the XML's fault, elsewhere the argument's."""
    top = violation.top
    if top is not None and not top.location:
        payload = shape.members.get(shape.payload)
        if violation.value is None and "." not in violation.path and top is payload:
            return ApiError("MissingRequestBodyError", "Request Body is empty", 400)
        words = "The XML you provided was not well-formed or did not validate against our published schema"
        return ApiError("MalformedXML", words, 400)
    if top is not None and top.name == "StorageClass":
        return ApiError("InvalidStorageClass", "The storage class you specified is not valid", 400)
    name = (top.wire_name if top is not None else "") or violation.path
    if violation.value is None:
        return ApiError("InvalidRequest", f"Missing required header or parameter for this request: {name}", 400)
    fields = {"ArgumentName": name, "ArgumentValue": _java(violation.value)}
    return ApiError("InvalidArgument", f"Invalid value for {name}", 400, fields)

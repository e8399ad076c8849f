"""Values made from shapes, the same ones for the same seed."""

from __future__ import annotations

import random
import string
from datetime import UTC, datetime
from typing import Any

from wildsage.wire.model import Operation, Shape, load
from wildsage.wire.timestamps import RFC822

SERVICES = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-featurestore-runtime",
    "sagemaker-a2i-runtime",
    "sagemaker-edge",
    "sagemaker-metrics",
    "s3",
    "sts",
    "iam",
    "logs",
    "cloudwatch",
    "application-autoscaling",
    "lambda",
    "ecr",
    "sqs",
    "sns",
    "kms",
    "events",
    "stepfunctions",
    "cloudtrail",
)
_LETTERS = string.ascii_letters + string.digits
_BODY_TEXT = _LETTERS + " äß€漢😀\"'\\<>&/+=%,:;\t\n"
_MAX_DEPTH = 5


class Maker:
    """Makes values. ``sparse``: required members only; ``headers``: list texts may need quoting there."""

    def __init__(self, seed: str, sparse: bool = False) -> None:
        self._random = random.Random(seed)
        self._sparse = sparse

    def members(self, shape: Shape | None) -> dict[str, Any]:
        """A structure's members."""
        return {} if shape is None else self._structure(shape, 0)

    def value(self, shape: Shape, depth: int = 0) -> Any:
        kind = shape.kind
        if kind == "structure":
            return self._structure(shape, depth)
        if kind == "list":
            return [self.value(shape.member, depth + 1) for _ in range(0 if depth > _MAX_DEPTH else self._count())]
        if kind == "map":
            count = 0 if depth > _MAX_DEPTH else self._count()
            return {self._text(shape.key, shape.location): self.value(shape.value, depth + 1) for _ in range(count)}
        return self._scalar(shape)

    def _structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        if shape.document:
            return {"a": [1, None, "b"]}
        if shape.traits.get("union"):
            name = self._random.choice(list(shape.members))
            return {name: self.value(shape.members[name], depth + 1)}
        chosen = {
            name: member
            for name, member in shape.members.items()
            if (name in shape.required or self._wanted(member, depth)) and not member.event_stream
        }
        if not chosen and depth and shape.members:  # the query protocol has no way to write an empty structure
            name = min(shape.members, key=lambda each: shape.members[each].kind in ("structure", "list", "map"))
            chosen = {name: shape.members[name]}
        return {name: self._member(member, depth) for name, member in chosen.items()}

    def _wanted(self, member: Shape, depth: int) -> bool:
        return not self._sparse and member.location != "statusCode" and self._random.random() < 0.8 / (depth + 1)

    def _member(self, member: Shape, depth: int) -> Any:
        if member.location == "headers":
            return {self._word().lower(): self._word() for _ in range(2)}
        if member.location == "header" and member.kind == "list":
            return [self.value(member.member), f'{self._word()},"{self._word()}"'][
                : 1 if member.member.kind != "string" else 2
            ]
        if member.location and member.kind == "string":
            if "jsonvalue" in member.traits:
                return {"a": [1, self._word()]}
            return self._text(member, member.location)
        if member.kind == "string" and member.traits.get("xmlAttribute"):
            return self._word()
        return self.value(member, depth + 1)

    def _count(self) -> int:
        return self._random.randint(1, 3)

    def _word(self) -> str:
        return "".join(self._random.choices(_LETTERS, k=self._random.randint(1, 12)))

    def _text(self, shape: Shape, location: str = "") -> str:
        choices = shape.traits.get("enum")
        if choices:
            return str(self._random.choice(choices))
        if location in ("header", "headers") or shape.traits.get("hostLabel"):
            return self._word()
        text = "".join(self._random.choices(_BODY_TEXT, k=self._random.randint(1, 12)))
        return self._word() + text + self._word()

    def _scalar(self, shape: Shape) -> Any:
        kind = shape.kind
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind in ("integer", "long"):
            return (
                self._random.randint(-(2**31), 2**31 - 1)
                if kind == "integer"
                else self._random.randint(-(2**63), 2**63 - 1)
            )
        if kind in ("float", "double"):
            return self._random.choice([0.0, -1.5, 1e300, 0.1, 123456.789, self._random.random()])
        if kind == "timestamp":
            whole = self._random.randint(-1_000_000_000, 4_000_000_000)
            return (
                whole
                if shape.location == "header" or shape.timestamp_format == RFC822
                else whole + self._random.choice([0, 0.5, 0.123])
            )
        if kind == "blob":
            return self._random.randbytes(self._random.randint(1, 40))
        return self._text(shape, shape.location)


def operations() -> list[Operation]:
    """Every operation of every service that must be proven."""
    return [operation for service in SERVICES for operation in load(service).operations.values()]


def moment(seconds: float) -> datetime:
    """The datetime that botocore works with."""
    return datetime.fromtimestamp(seconds, UTC)


def as_botocore(shape: Shape | None, value: Any) -> Any:
    """Our value as botocore's clients have it: timestamps are datetimes."""
    if shape is None or value is None:
        return value
    if shape.kind == "structure" and not shape.document:
        return {name: as_botocore(shape.members[name], item) for name, item in value.items()}
    if shape.kind == "list":
        return [as_botocore(shape.member, item) for item in value]
    if shape.kind == "map":
        return {key: as_botocore(shape.value, item) for key, item in value.items()}
    return moment(value) if shape.kind == "timestamp" else value


def from_botocore(value: Any) -> Any:
    """The reverse, for everything that has been parsed."""
    if isinstance(value, dict):
        return {key: from_botocore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_botocore(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value

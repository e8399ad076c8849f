"""The JSONPath of batch transform's filters: the operators that AWS documents, and no others.

    $   .name   *   ['name','name']   [1,-1]   [2:5]

An end of a range belongs to it: ``$[1:4]`` is the second to the fifth. A row of CSV is an array, so it can only be
asked for by index. Sources: Developer Guide, "Associate Prediction Results with Input Records"; the characters and the
words of refusal are those of CreateTransformJob (aws/aws-sdk issue 184, aws/sagemaker-python-sdk issue 1112).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_JSON_OPERATORS = ("$", "[", "]", "*", ".", " ", ",", ":", "-", "'")
_CSV_OPERATORS = ("$", "[", "]", "*", " ", ",", ":", "-")
_NAME = re.compile(r"\.([A-Za-z0-9-]+)")
_ANY_NAME = re.compile(r"\.\*")
_BRACKET = re.compile(r"\.?\[([^\[\]]*)\]")
_QUOTED = re.compile(r"'([^']+)'")
_INDEX = re.compile(r"-?\d+")
_RANGE = re.compile(r"(-?\d*)\s*:\s*(-?\d*)")


class InvalidPath(ValueError):
    """Not a path of the supported kind; the text says what is wrong with it."""


class NotThere(LookupError):
    """A value lacks what a path asks for; the text says what."""


@dataclass(frozen=True, slots=True)
class Range:
    """From ``start`` to ``end``, both included; None is the first, or the last."""

    start: int | None
    end: int | None

    def of(self, size: int) -> range:
        """The positions in an array of ``size``; what lies behind its end is left out. Raises NotThere."""
        start = _position(self.start or 0, size)
        end = size - 1 if self.end is None else self.end
        return range(start, min(end if end >= 0 else end + size, size - 1) + 1)


@dataclass(frozen=True, slots=True)
class Everything:
    """``*``"""

    single = False

    def of(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        else:
            raise NotThere(f"* asks for the elements of {_kind(value)}")


@dataclass(frozen=True, slots=True)
class Names:
    """One attribute gives its value, several an object of them."""

    names: tuple[str, ...]
    single = True

    def of(self, value: Any) -> Iterator[Any]:
        if not isinstance(value, dict):
            raise NotThere(f"attribute '{self.names[0]}' is asked of {_kind(value)}")
        for name in self.names:
            if name not in value:
                raise NotThere(f"there is no attribute '{name}'")
        yield value[self.names[0]] if len(self.names) == 1 else {name: value[name] for name in self.names}


@dataclass(frozen=True, slots=True)
class Indexes:
    """Elements of an array."""

    items: tuple[int | Range, ...]

    @property
    def single(self) -> bool:
        return len(self.items) == 1 and isinstance(self.items[0], int)

    def of(self, value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            raise NotThere(f"index {_shown(self.items[0])} is asked of {_kind(value)}")
        for item in self.items:
            if isinstance(item, Range):
                yield from (value[at] for at in item.of(len(value)))
            else:
                yield value[_position(item, len(value))]


Step = Everything | Names | Indexes


@dataclass(frozen=True, slots=True)
class Path:
    """A path; ``parse`` makes it."""

    text: str
    steps: tuple[Step, ...]

    @property
    def is_root(self) -> bool:
        """Whether it selects all there is."""
        return not self.steps

    def select(self, value: Any) -> Any:
        """What it selects of a JSON value: a list wherever it may select several. Raises NotThere."""
        found, single = [value], True
        for step in self.steps:
            found = [each for node in found for each in step.of(node)]
            single = single and step.single
        return found[0] if single else found

    def columns(self, row: list[str]) -> list[str]:
        """What it selects of a row of CSV. Raises NotThere."""
        found = self.select(row)
        return found if isinstance(found, list) else [found]


def parse(text: str, csv: bool = False) -> Path:
    """``csv``: it will select columns. Raises InvalidPath."""
    _check_characters(text, csv)
    if not text.startswith("$"):
        raise InvalidPath("It must begin with $.")
    steps: list[Step] = []
    at, rest = 1, text.rstrip()
    while at < len(rest):
        step, at = _step(rest, at)
        if steps and isinstance(steps[-1], Names) and len(steps[-1].names) > 1:
            raise InvalidPath("Nothing may follow a list of names: nesting of children is not supported.")
        steps.append(step)
    if csv and (len(steps) > 1 or any(isinstance(step, Names) for step in steps)):
        raise InvalidPath("Columns of CSV are selected by index, such as $[0] or $[1:].")
    return Path(text, tuple(steps))


def _check_characters(text: str, csv: bool) -> None:
    operators = _CSV_OPERATORS if csv else _JSON_OPERATORS
    for character in text:
        if character in operators or (
            character.isascii() and character.isalnum() and not (csv and character.isalpha())
        ):
            continue
        listed = ", ".join(f"'{each}'" for each in operators)
        raise InvalidPath(f'Unexpected "{character}" in JsonPath. Supported operators are [{listed}].')


def _step(text: str, at: int) -> tuple[Step, int]:
    if found := _ANY_NAME.match(text, at):
        return Everything(), found.end()
    if found := _NAME.match(text, at):
        return Names((found[1],)), found.end()
    found = _BRACKET.match(text, at)
    if found is None:
        raise InvalidPath(f'"{text[at:]}" cannot be understood.')
    return _bracket(found[1].strip()), found.end()


def _bracket(inside: str) -> Step:
    if inside == "*":
        return Everything()
    parts = [part.strip() for part in inside.split(",")]
    quoted = [_QUOTED.fullmatch(part) for part in parts]
    names = tuple(found[1] for found in quoted if found)
    if len(names) == len(parts):
        if any("." in name for name in names) and len(names) > 1:
            raise InvalidPath("Nesting of children within a list of names is not supported.")
        return Names(names)
    items = tuple(_item(part, inside) for part in parts)
    if sum(isinstance(item, Range) for item in items) > 1:
        raise InvalidPath(
            f"only single range filters of format (eg: [1:5]) are supported. Format [{inside}] is not supported"
        )
    return Indexes(items)


def _item(part: str, inside: str) -> int | Range:
    if _INDEX.fullmatch(part):
        return int(part)
    found = _RANGE.fullmatch(part)
    try:
        if found is not None:
            return Range(*(int(end) if end else None for end in found.groups()))
    except ValueError:
        pass  # a lone minus
    raise InvalidPath(f'"[{inside}]" is neither a list of names in quotes nor one of indexes.')


def _position(index: int, size: int) -> int:
    at = index if index >= 0 else index + size
    if not 0 <= at < size:
        raise NotThere(f"index {index} is not within the {size} there are")
    return at


def _kind(value: Any) -> str:
    names: Sequence[tuple[type, str]] = ((dict, "an object"), (list, "an array"), (str, "a text"))
    return next((name for kind, name in names if isinstance(value, kind)), "a single value")


def _shown(item: int | Range) -> str:
    if isinstance(item, int):
        return str(item)
    return f"{'' if item.start is None else item.start}:{'' if item.end is None else item.end}"

"""From an expression's text to its tree."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wildsage.services.cloudwatch import names

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<mark>&&|\|\||==|!=|<=|>=|[-+*/%^<>(),\[\]]))"
)
# From what binds least to what binds most; a power binds more, and a sign before it less.
_LEVELS: Sequence[Sequence[str]] = (
    ("||", "OR"),
    ("&&", "AND"),
    ("==", "!=", "<", ">", "<=", ">="),
    ("+", "-"),
    ("*", "/", "%"),
)
_DEEPEST = 50
_LONGEST = 1000  # tokens: one operation after the other makes a tree as deep as there are of them


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """The id of another query, or a word such as REPEAT."""

    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function by its name, or an operation by its sign."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Node, ...]


Node = Number | Text | Name | Call | Array


def parse(text: str) -> Node:
    """Raises ValidationError, naming the place, for what is no expression."""
    parser = _Parser(text)
    tree = parser.level(0)
    parser.expect_end()
    return tree


def ids_in(tree: Node) -> set[str]:
    """The names in it."""
    match tree:
        case Name(value):
            return {value}
        case Call(_, parts) | Array(parts):
            return set().union(*map(ids_in, parts))
    return set()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        self._next = 0
        self._depth = 0
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise self._wrong(at)
            self._tokens.append((found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
            at = found.end()
        if len(self._tokens) > _LONGEST:
            raise names.refused(f"Error in expression: it has more than {_LONGEST} names, numbers and signs.")

    def level(self, number: int) -> Node:
        """Operations of that level, from left to right."""
        if number == len(_LEVELS):
            return self._signed()
        left = self.level(number + 1)
        while (sign := self._mark(*_LEVELS[number])) is not None:
            left = Call({"OR": "||", "AND": "&&"}.get(sign, sign), (left, self.level(number + 1)))
        return left

    def expect_end(self) -> None:
        if self._next < len(self._tokens):
            raise self._wrong(self._tokens[self._next][2])

    def _signed(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise names.refused("Error in expression: it is nested too deeply.")
        try:
            return self._power()
        finally:
            self._depth -= 1

    def _power(self) -> Node:
        if self._mark("-") is not None:
            return Call("negative", (self._signed(),))
        if self._mark("+") is not None:
            return self._signed()
        base = self._single()
        return Call("^", (base, self._signed())) if self._mark("^") is not None else base

    def _single(self) -> Node:
        if self._mark("(") is not None:
            inside = self.level(0)
            self._expect(")")
            return inside
        if self._mark("[") is not None:
            return Array(self._list("]"))
        if self._next == len(self._tokens):
            raise self._wrong(len(self._text))
        kind, value, at = self._tokens[self._next]
        self._next += 1
        if kind == "number" and math.isfinite(float(value)):
            return Number(float(value))
        if kind == "text":
            return Text(value[1:-1])
        if kind == "name":
            return Call(value.upper(), self._list(")")) if self._mark("(") is not None else Name(value)
        raise self._wrong(at)

    def _list(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._mark(end) is not None:
            return ()
        while True:
            found.append(self.level(0))
            if self._mark(",") is None:
                self._expect(end)
                return tuple(found)

    def _mark(self, *wanted: str) -> str | None:
        """The next token if it is one of these signs or words."""
        if self._next < len(self._tokens):
            kind, value, _ = self._tokens[self._next]
            word = value.upper() if kind == "name" else value
            if kind in ("mark", "name") and word in wanted:
                self._next += 1
                return word
        return None

    def _expect(self, mark: str) -> None:
        if self._mark(mark) is None:
            at = self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)
            raise names.refused(f"Error in expression: '{mark}' is missing at position {at + 1} of {self._text!r}.")

    def _wrong(self, at: int) -> Exception:
        return names.refused(f"Error in expression: it cannot be read at position {at + 1} of {self._text!r}.")

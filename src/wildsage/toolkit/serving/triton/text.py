"""Protobuf's text format (https://protobuf.dev/reference/protobuf/textformat-spec), read without a schema.

Every field and value keeps the line it is on, so that whoever reads a configuration can say where it is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple, Union

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\f\v]+|\#[^\n]*)
    | (?P<line>\n)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![A-Za-z0-9_.]))
    | (?P<word>-?[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>[{}<>\[\]:,;])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CLOSES = {"{": "}", "<": ">"}
_MOST_DEEP = 50


class TextError(Exception):
    """``line``: where the text cannot be read."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line


class Token(NamedTuple):
    """``kind``: string, number, word, sign or end."""

    kind: str
    text: str
    line: int


class Scalar(NamedTuple):
    """``kind``: string (``text`` is what it stands for), number or word."""

    kind: str
    text: str
    line: int


class Message(NamedTuple):
    fields: list[Field]
    line: int


class Field(NamedTuple):
    name: str
    line: int
    value: Value


Value = Union[Scalar, Message]  # noqa: UP007 - Python 3.9


def parse(text: str) -> Message:
    """The fields in their order; a list's values are fields of the same name. Raises TextError."""
    return _Parser(text).whole()


def write(message: Message, indent: str = "") -> str:
    """As text again."""
    lines = []
    for field in message.fields:
        if isinstance(field.value, Message):
            lines.append(f"{indent}{field.name} {{\n{write(field.value, indent + '  ')}{indent}}}\n")
        else:
            value = field.value
            shown = quoted(value.text) if value.kind == "string" else value.text
            lines.append(f"{indent}{field.name}: {shown}\n")
    return "".join(lines)


def quoted(text: str) -> str:
    """A string as the format writes it."""
    shown = (f"\\{byte:03o}" if byte < 32 or byte > 126 or byte in b"\"\\'" else chr(byte) for byte in text.encode())
    return f'"{"".join(shown)}"'


def _tokens(text: str) -> Iterator[Token]:
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            words = "a string that does not end" if text[at] in "\"'" else f"{text[at]!r}"
            raise TextError(line, f"{words} does not belong here")
        kind = match.lastgroup or ""
        if kind == "line":
            line += 1
        elif kind != "space":
            yield Token(kind, match[0], line)
            line += match[0].count("\n")
        at = match.end()
    yield Token("end", "the end of the file", line)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = next(self._tokens)
        self._deep = 0

    def whole(self) -> Message:
        return Message(self._fields(""), 1)

    def _fields(self, closing: str) -> list[Field]:
        found: list[Field] = []
        while True:
            token = self._take()
            if token.text == closing and token.kind == "sign":
                return found
            if token.kind == "end":
                if closing:
                    raise TextError(token.line, f"{closing!r} is missing before the end of the file")
                return found
            if token.kind != "word" or token.text.startswith("-"):
                raise TextError(token.line, f"expected the name of a field, found {token.text!r}")
            found += [Field(token.text, value.line, value) for value in self._values(token)]
            if self._next.text in (",", ";") and self._next.kind == "sign":
                self._take()

    def _values(self, name: Token) -> list[Value]:
        """What follows a field's name."""
        colon = self._accept(":")
        if self._next.kind == "sign" and self._next.text in _CLOSES:
            return [self._message(name.line)]
        if self._accept("["):
            return self._list(name)
        if not colon:
            raise TextError(self._next.line, f"expected ':' or '{{' after {name.text!r}, found {self._next.text!r}")
        return [self._scalar(name)]

    def _list(self, name: Token) -> list[Value]:
        values: list[Value] = []
        while not self._accept("]"):
            if values and not self._accept(","):
                raise TextError(
                    self._next.line, f"expected ',' or ']' in the list of {name.text!r}, found {self._next.text!r}"
                )
            message = self._next.kind == "sign" and self._next.text in _CLOSES
            values.append(self._message(self._next.line) if message else self._scalar(name))
        return values

    def _message(self, line: int) -> Message:
        self._deep += 1
        if self._deep > _MOST_DEEP:
            raise TextError(line, "messages are nested too deeply")
        message = Message(self._fields(_CLOSES[self._take().text]), line)
        self._deep -= 1
        return message

    def _scalar(self, name: Token) -> Scalar:
        token = self._take()
        if token.kind == "string":
            text = _unquoted(token)
            while self._next.kind == "string":
                text += _unquoted(self._take())
            return Scalar("string", text, token.line)
        if token.kind in ("number", "word"):
            return Scalar(token.kind, "".join(token.text.split()), token.line)
        raise TextError(token.line, f"expected the value of {name.text!r}, found {token.text!r}")

    def _take(self) -> Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _accept(self, sign: str) -> bool:
        if self._next.kind == "sign" and self._next.text == sign:
            self._take()
            return True
        return False


def _unquoted(token: Token) -> str:
    """What a quoted string stands for; bytes beyond ASCII are UTF-8."""
    if "\\" not in token.text:
        return token.text[1:-1]
    octets = bytearray()
    at, inside = 0, token.text[1:-1]
    for match in _ESCAPE.finditer(inside):
        octets += inside[at : match.start()].encode()
        code = match[1]
        if code[0] == "x" and len(code) > 1:
            octets.append(int(code[1:], 16))
        elif code[0] in "01234567":
            octets.append(int(code, 8) & 255)
        elif code[0] in "uU" and len(code) > 1 and int(code[1:], 16) <= sys.maxunicode:
            octets += chr(int(code[1:], 16)).encode("utf-8", "replace")
        elif code in _NAMED or code in "\\'\"?":
            octets += _NAMED.get(code, code).encode()
        else:
            raise TextError(token.line, f"the string has the unknown escape \\{code}")
        at = match.end()
    octets += inside[at:].encode()
    return octets.decode("utf-8", "replace")

"""The models' regular expressions, which are Java's, as Python's.

A pattern is compiled when it is first needed.  Python has no Unicode classes (``\\p{L}``), and to spell one out as
ranges takes half a second; so a class becomes its ASCII members and those of its members that the value at hand has.
"""

from __future__ import annotations

import functools
import re
import unicodedata

_DOT = r"[^\n\r\x85\u2028\u2029]"  # what Java's dot leaves out
_POSIX = {"Alnum": "0-9A-Za-z", "ASCII": r"\x00-\x7f", "Print": r"\x20-\x7e", "Alpha": "A-Za-z", "Digit": "0-9"}
_CATEGORIES = frozenset(["L", "M", "N", "P", "S", "Z", "C", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Zs"])
_ASTRAL = r"\uD800\uDC00-\uDBFF\uDFFF"  # how Java writes the range of everything beyond the basic plane
_NEVER = r"[^\s\S]"
# Patterns that Java's engine takes in its stride and that would keep Python's busy for ages: same language, said
# without a choice of how to split a run of characters.
_REWRITTEN = {
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
    r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?",
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"[\t\x20-\x7E]*[\x20-\x7E]\t*",
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": (
        r"[^\x00-\x08\x0A-\x1F:\x7F]*[^\x00-\x1F:\x7F]\t*"
    ),
}


class Untranslatable(ValueError):
    """A pattern with something in it that has no counterpart."""


def matches(pattern: str, value: str) -> bool:
    """Whether the whole of ``value`` is what ``pattern`` describes."""
    others = "" if value.isascii() or "\\p{" not in pattern else "".join(sorted({c for c in value if c > "\x7f"}))
    return compiled(pattern, others).fullmatch(value) is not None


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str, others: str = "") -> re.Pattern[str]:
    """``others``: the characters beyond ASCII that Unicode classes must know. Raises Untranslatable."""
    text = _REWRITTEN.get(pattern, pattern)
    try:
        return re.compile(_Translator(text, others).translate(), re.ASCII)
    except (re.error, IndexError, ValueError) as error:
        raise Untranslatable(f"{pattern!r}: {error}") from error


class _Translator:
    """One walk through a pattern."""

    def __init__(self, pattern: str, others: str) -> None:
        self._text = pattern.replace(_ASTRAL, "\U00010000-\U0010ffff")
        self._others = others
        self._at = 0
        self._dot = "." if "(?s)" in pattern else _DOT

    def translate(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "\\":
                parts.append(self._escape(in_class=False))
            elif character == "[":
                parts.append(self._class())
            elif character == "$" and self._text.startswith("${", self._at):
                self._at = self._text.index("}", self._at) + 1  # repeating an anchor means nothing
                parts.append("$")
            else:
                parts.append(self._dot if character == "." else character)
                self._at += 1
        return "".join(parts)

    def _class(self) -> str:
        """``[…]``. A hyphen after a class such as ``\\w`` is a hyphen, which Python wants to see escaped."""
        parts = ["["]
        self._at += 1
        if self._text[self._at] == "^":
            parts.append("^")
            self._at += 1
        after_class = False
        first = True
        while first or self._text[self._at] != "]":
            first = False
            character = self._text[self._at]
            if character == "\\":
                after_class = self._text[self._at + 1] in "wdsWDSp"
                parts.append(self._escape(in_class=True))
                continue
            if character == "[" or self._text.startswith("&&", self._at):
                raise Untranslatable("unions and intersections of classes")
            parts.append("\\-" if character == "-" and after_class else character)
            after_class = False
            self._at += 1
        self._at += 1
        return "".join([*parts, "]"])

    def _escape(self, in_class: bool) -> str:
        name = self._text[self._at + 1]
        if name == "p":
            end = self._text.index("}", self._at)
            members = _members(self._text[self._at + 3 : end], self._others)
            self._at = end + 1
            if in_class:
                return members
            return f"[{members}]" if members else _NEVER
        self._at += 2
        return r"\Z" if name == "z" else f"\\{name}"


def _members(name: str, others: str) -> str:
    """The inside of a character class for ``\\p{name}``: of ASCII and of ``others``."""
    if name in _POSIX:
        return _POSIX[name]
    if name not in _CATEGORIES:
        raise Untranslatable(f"\\p{{{name}}}")
    candidates = [*map(chr, range(0x80)), *others]
    return "".join(re.escape(c) for c in candidates if unicodedata.category(c).startswith(name))

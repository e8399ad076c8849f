"""Wildcards and policy variables, as IAM reads them.

``*`` stands for any text, ``?`` for one character (IAM User Guide, "Policy grammar").  ``${key}`` is replaced by the
request's value of that key, ``${key, 'text'}`` falls back to ``text``, and ``${*}``, ``${?}``, ``${$}`` are the plain
characters ("Policy variables").  A value put in for a variable is never itself read as a wildcard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

Context = Mapping[str, Sequence[str]]
Matcher = Callable[[str, Context], bool]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PLAIN = {"*", "?", "$"}


def expression(text: str) -> str:
    """A regular expression (with DOTALL) of ``text`` with its wildcards."""
    return _joined(_tokens(text))


def _tokens(text: str) -> list[str | None]:
    """Regular expressions of the characters; None for ``*``."""
    return [None if character == "*" else "." if character == "?" else re.escape(character) for character in text]


def _joined(tokens: Sequence[str | None]) -> str:
    """What stands between two ``*`` is looked for once, so that no pattern takes longer than text times pattern."""
    pieces = [""]
    for token in tokens:
        if token is None:
            pieces.append("")
        else:
            pieces[-1] += token
    first, *others = pieces
    if not others:
        return first
    return f"{first}{''.join(f'(?>.*?{piece})' for piece in others[:-1] if piece)}.*{others[-1]}"


def variable(named: str, context: Context) -> str | None:
    """The value of what stands between ``${`` and ``}``; None if the request does not have exactly one."""
    if named in _PLAIN:
        return named
    key, separator, fallback = named.partition(",")
    values = context.get(key.strip().lower(), ())
    if len(values) == 1:
        return values[0]
    return fallback.strip().strip("'") if separator else None


def fill(text: str, context: Context) -> str | None:
    """``text`` with its variables replaced; None if one of them has no value."""
    if "${" not in text:
        return text
    parts: list[str] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        value = variable(found[1], context)
        if value is None:
            return None
        parts += [text[end : found.start()], value]
        end = found.end()
    return "".join([*parts, text[end:]])


def _with_variables(text: str) -> Matcher:
    pieces = _VARIABLE.split(text)  # text, expression, text, expression, …, text
    literals = [_tokens(piece) for piece in pieces[::2]]

    def match(value: str, context: Context) -> bool:
        tokens = list(literals[0])
        for name, literal in zip(pieces[1::2], literals[1:], strict=True):
            known = variable(name, context)
            if known is None:
                return False
            tokens += [re.escape(known), *literal]
        return re.fullmatch(_joined(tokens), value, re.DOTALL) is not None

    return match


def matcher(text: str) -> Matcher:
    """Whether a value matches ``text``; the common forms without a regular expression."""
    if text == "*":
        return lambda value, context: True
    if "${" in text:
        return _with_variables(text)
    head = text[:-1]
    if text.endswith("*") and "*" not in head and "?" not in head:
        return lambda value, context: value.startswith(head)
    if "*" not in text and "?" not in text:
        return lambda value, context: value == text
    pattern = re.compile(expression(text), re.DOTALL)
    return lambda value, context: pattern.fullmatch(value) is not None


def action_matcher(text: str) -> Matcher:
    """As ``matcher``, for actions: letter case does not count and variables are not allowed."""
    folded = matcher(text.lower().replace("${", "$"))
    return lambda value, context: folded(value.lower(), context)


def arn_matcher(text: str) -> Matcher:
    """ArnLike: each of the six parts is matched by itself, so ``*`` does not cross a colon but in the last."""
    parts = [matcher(part) for part in text.split(":", 5)]

    def match(value: str, context: Context) -> bool:
        found = value.split(":", 5)
        return len(found) == len(parts) and all(each(part, context) for each, part in zip(parts, found, strict=True))

    return match

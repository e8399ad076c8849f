"""Filter patterns of FilterLogEvents, as far as they are terms. Pure.

Source: CloudWatch Logs User Guide, "Filter pattern syntax": all plain terms must occur, a term after ``-`` must not, of
terms after ``?`` one must, quotes hold a phrase together, ``%…%`` is a regular expression. Case counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from wildsage.core.errors import ApiError, Unsupported
from wildsage.services.logs import expressions

_TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|%((?:[^%\\]|\\.)*)%|([^\s"]+))')


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a message matches. Raises InvalidParameterException, or Unsupported for JSON and column patterns."""
    text = pattern.strip()
    if not text:
        return lambda _: True
    if text[0] in "{[":
        kind = "JSON" if text[0] == "{" else "space-delimited"
        raise Unsupported(f"filterPattern: {kind} patterns are not supported by Wildsage yet; search for terms.")
    every, never, some = _terms(text)

    def matches(message: str) -> bool:
        if any(test(message) for test in never) or not all(test(message) for test in every):
            return False
        return not some or any(test(message) for test in some)

    return matches


Test = Callable[[str], bool]


def _terms(text: str) -> tuple[list[Test], list[Test], list[Test]]:
    found: dict[str, list[Test]] = {"": [], "-": [], "?": []}
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise ApiError("InvalidParameterException", f"Invalid filter pattern: unexpected text at {position}")
        position = match.end()
        sign, phrase, expression, word = match.groups()
        found[sign].append(_test(phrase, expression, word))
    return found[""], found["-"], found["?"]


def _test(phrase: str | None, expression: str | None, word: str | None) -> Test:
    if expression is not None:
        return expressions.search(expression)
    wanted = re.sub(r"\\(.)", r"\1", phrase) if phrase is not None else str(word)
    return lambda message: wanted in message

r"""The regular expressions of filter patterns, searched in time proportional to the text. Pure.

Source: CloudWatch Logs User Guide, "Supported regular expressions (regex) syntax": letters, digits, the symbols
``: _ # = @ / ; , -`` and the operators ``^ $ ? [ ] { } | \ * + .``; no parentheses, nothing beyond ASCII.

Python's own matcher tries one way after the other, so that ``a*a*b`` can keep a process busy for hours; without
parentheses it is little work to follow all ways at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wildsage.core.errors import ApiError

_ASCII = frozenset(map(chr, range(128)))
_BEYOND = "\x80"  # stands for all that ASCII does not have
_DIGITS = frozenset("0123456789")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PLAIN = _DIGITS | _LETTERS | frozenset(":_#=@/;,- ")
_CLASSES = {"d": _DIGITS, "w": _DIGITS | _LETTERS | {"_"}, "s": frozenset(" \t\n\r\f\v")}
_MOST_PLACES = 2000
_MOST_STEPS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters. ``beyond``: all that ASCII does not have belong to it too."""

    ascii: frozenset[str]
    beyond: bool = False

    def __contains__(self, character: str) -> bool:
        return character in self.ascii or (self.beyond and character >= _BEYOND)

    def __or__(self, other: Characters) -> Characters:
        return Characters(self.ascii | other.ascii, self.beyond or other.beyond)

    def inverted(self) -> Characters:
        return Characters(_ASCII - self.ascii, not self.beyond)


@dataclass(frozen=True, slots=True)
class Place:
    """One character of an alternative. ``skipped``: it may be left out; ``repeated``: it may come again."""

    characters: Characters
    skipped: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Alternative:
    """What stands between two ``|``."""

    places: tuple[Place, ...]
    at_start: bool
    at_end: bool


def search(expression: str) -> Callable[[str], bool]:
    """Whether a text holds what ``expression`` describes. Raises InvalidParameterException."""
    return Machine(Parser(expression).alternatives()).search


class Machine:
    """All alternatives at once. A state is an integer: bit n says that place n may come next.

    A step is a few operations on whole states (Navarro and Raffinot, "Flexible Pattern Matching in Strings").
    """

    def __init__(self, alternatives: list[Alternative]) -> None:
        self._places: list[Place | None] = []  # None: the end of an alternative
        self._first = self._always = self._found = self._found_at_end = 0
        starts = []
        for each in alternatives:
            starts.append(1 << len(self._places))
            self._places += [*each.places, None]
            end = 1 << (len(self._places) - 1)
            self._found_at_end |= end
            self._found |= 0 if each.at_end else end
        if len(self._places) > _MOST_PLACES:
            raise _invalid(f"it is longer than {_MOST_PLACES} characters when its repetitions are written out")
        self._skipped = self._those(lambda place: place.skipped)
        self._repeated = self._those(lambda place: place.repeated)
        for start, each in zip(starts, alternatives, strict=True):
            entered = self._entered(start)
            self._first |= entered
            self._always |= 0 if each.at_start else entered
        self._taking: dict[str, int] = {}
        self._steps: dict[tuple[int, str], int] = {}

    def search(self, text: str) -> bool:
        state, steps = self._first, self._steps
        if state & self._found:
            return True
        for character in text:
            after = steps.get((state, character))
            if after is None:
                after = self._step(state, character)
            state = after
            if state & self._found:
                return True
        return bool(state & self._found_at_end)

    def _those(self, wanted: Callable[[Place], bool]) -> int:
        """The places that are ``wanted``, as a state."""
        return sum(1 << number for number, place in enumerate(self._places) if place is not None and wanted(place))

    def _entered(self, state: int) -> int:
        """With the places behind those that may be skipped: a carry runs through all that follow one another."""
        return state | ((self._skipped + (state & self._skipped)) ^ self._skipped)

    def _step(self, state: int, character: str) -> int:
        sign = min(character, _BEYOND)
        if sign not in self._taking:
            self._taking[sign] = self._those(lambda place: sign in place.characters)
        taken = state & self._taking[sign]
        after = self._always | self._entered(taken << 1) | (taken & self._repeated)
        if len(self._steps) >= _MOST_STEPS_KEPT:
            self._steps.clear()
        self._steps[state, character] = after
        return after


class Parser:
    """Reads an expression from left to right."""

    def __init__(self, expression: str) -> None:
        self._text = expression
        self._at = 0

    def alternatives(self) -> list[Alternative]:
        found = [self._alternative()]
        while self._taken("|"):
            found.append(self._alternative())
        return found

    def _alternative(self) -> Alternative:
        places: list[Place] = []
        at_start, at_end = self._taken("^"), False
        while self._at < len(self._text) and self._text[self._at] != "|":
            if self._taken("$"):
                at_end = True
                if self._at < len(self._text) and self._text[self._at] != "|":
                    raise _invalid("nothing can follow $")
                break
            characters = self._characters()
            places += _repeated(characters, *self._times())
            if len(places) > _MOST_PLACES:
                raise _invalid(f"it is longer than {_MOST_PLACES} characters when its repetitions are written out")
        return Alternative(tuple(places), at_start, at_end)

    def _characters(self) -> Characters:
        character = self._next()
        if character == ".":
            return Characters(frozenset("\n")).inverted()
        if character == "[":
            return self._set()
        if character == "\\":
            return self._escaped()
        if character not in _PLAIN:
            raise _invalid(f"{character!r} is not supported there")
        return Characters(frozenset(character))

    def _set(self) -> Characters:
        inverted = self._taken("^")
        found = Characters(frozenset())
        while not self._taken("]"):
            low = self._member()
            if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                found |= _range(low, self._member())
            else:
                found |= low
        if not found.ascii and not found.beyond:
            raise _invalid("[] is empty")
        return found.inverted() if inverted else found

    def _member(self) -> Characters:
        character = self._next()
        if character == "\\":
            return self._escaped()
        if character not in _ASCII:
            raise _invalid(f"{character!r} is not supported there")
        return Characters(frozenset(character))

    def _escaped(self) -> Characters:
        character = self._next()
        if character.lower() in _CLASSES:
            found = Characters(_CLASSES[character.lower()])
            return found.inverted() if character.isupper() else found
        if character == "x":
            digits = self._text[self._at : self._at + 2]
            if len(digits) < 2 or not set(digits) <= set("0123456789abcdefABCDEF"):
                raise _invalid(r"\x wants two hexadecimal digits")
            self._at += 2
            return Characters(frozenset(chr(int(digits, 16))))
        if character in _DIGITS | _LETTERS or character not in _ASCII:
            raise _invalid(f"\\{character} is not supported")
        return Characters(frozenset(character))

    def _times(self) -> tuple[int, int | None]:
        """How often at least, and at most."""
        if self._taken("?"):
            return 0, 1
        if self._taken("*"):
            return 0, None
        if self._taken("+"):
            return 1, None
        if not self._taken("{"):
            return 1, 1
        inside, closed, _ = self._text[self._at :].partition("}")
        least, comma, most = inside.replace(" ", "").partition(",")
        if not closed or not least.isdecimal() or not (most.isdecimal() or not most):
            raise _invalid("{} wants one number, or two with a comma between")
        self._at += len(inside) + 1
        low, high = int(least[:5]), int(most[:5]) if most else None if comma else int(least[:5])
        if high is not None and high < low:
            raise _invalid(f"{{{inside}}} has its numbers in the wrong order")
        return low, high

    def _taken(self, character: str) -> bool:
        taken = self._text[self._at : self._at + 1] == character
        self._at += taken
        return taken

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _invalid("it ends too early")
        self._at += 1
        return self._text[self._at - 1]


def _repeated(characters: Characters, least: int, most: int | None) -> list[Place]:
    if max(least, most or 0) > _MOST_PLACES:
        raise _invalid(f"it is longer than {_MOST_PLACES} characters when its repetitions are written out")
    if most is None:
        last = Place(characters, skipped=least == 0, repeated=True)
        return [*(Place(characters) for _ in range(least - 1)), last]
    return [Place(characters)] * least + [Place(characters, skipped=True)] * (most - least)


def _range(low: Characters, high: Characters) -> Characters:
    if len(low.ascii) != 1 or len(high.ascii) != 1 or min(low.ascii) > min(high.ascii):
        raise _invalid("the range in [] is not in order")
    return Characters(frozenset(map(chr, range(ord(min(low.ascii)), ord(min(high.ascii)) + 1))))


def _invalid(what: str) -> ApiError:
    return ApiError(
        "InvalidParameterException", f"Invalid filter pattern: the regular expression is not valid: {what}."
    )

"""Java's patterns in Python's engine."""

from __future__ import annotations

import multiprocessing

import pytest

from tests.wire.examples import SERVICES
from wildsage.wire.model import load
from wildsage.wire.patterns import Untranslatable, compiled, matches

# Patterns that cannot be translated. None of the services has one; a new one must be looked at.
UNTRANSLATED: set[str] = set()


def _patterns() -> set[str]:
    found: set[str] = set()
    for service in SERVICES:
        model = load(service)
        for name in model.shape_names():
            pattern = model.shape(name).traits.get("pattern")
            if pattern is not None:
                found.add(pattern)
    return found


def test_every_pattern_of_every_service_compiles() -> None:
    failed: set[str] = set()
    for pattern in _patterns():
        try:
            compiled(pattern)
        except Untranslatable:
            failed.add(pattern)
    assert failed == UNTRANSLATED


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", ["", "a b-1", "größe 漢字"], ["a*", "😀"]),
        (r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*", ["a😀", "€ 漢"], ["\x00", "a\n"]),
        (r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}", ["a"], ["*"]),
        (r"\A\S[\p{Print}]*\z", ["a b"], [" a", "a\n"]),
        (r"[\w-_]*", ["a-_"], ["a.", "é"]),
        (r"\d+", ["1"], ["١"]),
        (r".*", ["a b"], ["a\nb", "a\rb", "a\u2028b"]),
        (r"(?s).*", ["a\nb"], []),
        (r"^abc$", ["abc"], ["abc\n", "xabc"]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", ["a😀"], ["\n"]),
        (r"\p{L}+", ["aé漢"], ["a1", "😀"]),
        (r"[]a]+", ["]a"], ["b"]),
        (r"a|b", ["a", "b"], ["ab"]),
        (r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$", ["a", "a.b/c", "*"], ["a..b", "-a", "a-"]),
    ],
)
def test_what_a_pattern_means(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not matches(pattern, value)] == []
    assert [value for value in bad if matches(pattern, value)] == []


@pytest.mark.parametrize("pattern", ["[a-z&&[^b]]", r"\p{IsGreek}", "[a[b]]", "(", "[a"])
def test_what_has_no_counterpart_is_named(pattern: str) -> None:
    with pytest.raises(Untranslatable):
        compiled(pattern)


def _attack(patterns: list[str]) -> None:
    """Values of the kind that makes a backtracking engine try every way to split them."""
    for pattern in patterns:
        for pump in ("a", "0", "-", "a-", "a.", "A", " ", "/a", ":a", "a ", "1.", "_", "a/", "a\n", "aws:"):
            for end in ("!", "\n", "\x00", "-", "é"):
                matches(pattern, pump * 120 + end)


def test_no_pattern_can_be_used_to_stall_the_server() -> None:
    child = multiprocessing.get_context("spawn").Process(target=_attack, args=(sorted(_patterns()),))
    child.start()
    child.join(60)
    stalled = child.is_alive()
    child.kill()
    child.join()
    assert not stalled
    assert child.exitcode == 0

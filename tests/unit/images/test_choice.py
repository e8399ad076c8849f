"""What runs an image, as a table."""

from __future__ import annotations

import pytest

from wildsage.core.errors import SettingsError
from wildsage.images.choice import Preference, Seen, Where, choose
from wildsage.images.seeking import preference

_NONE, _NATIVE, _ENGINE = Preference


@pytest.mark.parametrize(
    ("seen", "prefer", "where"),
    [
        (Seen(known=True), _NONE, Where.NATIVE),
        (Seen(known=True, engine=True), _NONE, Where.NATIVE),
        (Seen(known=True, engine=True, held=True), _NONE, Where.ENGINE),
        (Seen(known=True, engine=True, held=True), _NATIVE, Where.NATIVE),
        (Seen(known=True, engine=True), _ENGINE, Where.ELSEWHERE),
        (Seen(known=True, engine=True, held=True), _ENGINE, Where.ENGINE),
        (Seen(known=True), _ENGINE, Where.NOWHERE),
        (Seen(known=True, own=True, registered=True), _NONE, Where.NATIVE),
        (Seen(known=True, engine=True, own=True, registered=True), _NATIVE, Where.NATIVE),
        (Seen(engine=True), _NONE, Where.ELSEWHERE),
        (Seen(engine=True), _NATIVE, Where.ELSEWHERE),
        (Seen(engine=True, held=True), _NATIVE, Where.ENGINE),
        (Seen(engine=True, own=True, registered=True), _NONE, Where.REGISTRY),
        # What was pushed is what is meant, whatever an older build under the same name was.
        (Seen(engine=True, own=True, registered=True, held=True), _NONE, Where.REGISTRY),
        (Seen(engine=True, own=True, held=True), _NONE, Where.ENGINE),
        (Seen(engine=True, own=True), _NONE, Where.NOWHERE),
        (Seen(own=True, registered=True), _NONE, Where.NOWHERE),
        (Seen(), _NONE, Where.NOWHERE),
    ],
)
def test_what_runs_an_image(seen: Seen, prefer: Preference, where: Where) -> None:
    assert choose("mine:1", seen, prefer).where is where


@pytest.mark.parametrize(
    ("seen", "prefer", "words"),
    [
        (
            Seen(absent="no socket."),
            _NONE,
            ("none of AWS's framework images", "There is no container engine", "no socket."),
        ),
        (Seen(absent="-", instead="MXNet was given up."), _NONE, ("MXNet was given up.",)),
        (Seen(known=True, absent="-"), _ENGINE, ("without it, a Python environment of this machine runs",)),
        (Seen(own=True, registered=True, absent="-"), _NONE, ("an engine is all that is missing",)),
        (Seen(own=True, engine=True), _NONE, ("has no such image", "docker push", "docker build --tag")),
    ],
)
def test_an_image_that_cannot_be_had_says_what_was_tried_and_what_to_do(
    seen: Seen, prefer: Preference, words: tuple[str, ...]
) -> None:
    why = choose("mine:1", seen, prefer).why
    assert why.startswith("The image mine:1 cannot be had here. ")
    assert all(each in why for each in words), why


def test_the_setting() -> None:
    assert preference({}) is Preference.NONE
    assert preference({"WILDSAGE_FRAMEWORK_IMAGES": "engine"}) is Preference.ENGINE
    with pytest.raises(SettingsError, match="must be native or engine"):
        preference({"WILDSAGE_FRAMEWORK_IMAGES": "docker"})

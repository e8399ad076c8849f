"""Which of what this machine has runs an image, and why. Pure; ``seeking`` finds out what there is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SETTING = "WILDSAGE_FRAMEWORK_IMAGES"


class Where(StrEnum):
    """What runs an image.

    NATIVE: a Python environment of this machine. Of all others the container engine does, from its own store
    (ENGINE), from this server's registry (REGISTRY), or from the registry that the URI names (ELSEWHERE).
    """

    NATIVE = "native"
    ENGINE = "engine"
    REGISTRY = "registry"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"


class Preference(StrEnum):
    """What is to run AWS's framework images. NONE: the engine, if the image is at hand; else a Python environment."""

    NONE = ""
    NATIVE = "native"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is for one image.

    ``known``: a Python environment can stand in for it; ``instead``: for an image of AWS's for which none can, why, and
    what to use. ``engine``: an engine answers; ``absent``: why none does. ``held``: it has the image. ``own``: the URI
    names this server's registry, which has the image if it is ``registered``.
    """

    known: bool = False
    instead: str = ""
    engine: bool = False
    absent: str = ""
    held: bool = False
    own: bool = False
    registered: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """``why``: one sentence, which of NOWHERE says what was tried and what to do."""

    where: Where
    why: str


def choose(uri: str, seen: Seen, prefer: Preference = Preference.NONE) -> Choice:
    """What runs ``uri``, given what there is."""
    if seen.known and prefer is Preference.NATIVE:
        return Choice(Where.NATIVE, f"It is a framework's image, and {SETTING} says native.")
    if seen.engine and seen.registered:
        return Choice(Where.REGISTRY, "This server's registry has it.")
    if seen.engine and seen.held:
        return Choice(Where.ENGINE, "The container engine has it.")
    if seen.known and prefer is not Preference.ENGINE:
        return Choice(
            Where.NATIVE, "It is a framework's image, which a Python environment of this machine stands in for."
        )
    if seen.engine and not seen.own:
        reason = f"{SETTING} says engine" if seen.known else "the engine does not have it"
        return Choice(Where.ELSEWHERE, f"It is pulled from the registry that its name says: {reason}.")
    return Choice(Where.NOWHERE, " ".join(_tried(uri, seen, prefer)))


def _tried(uri: str, seen: Seen, prefer: Preference) -> list[str]:
    """Sentences: what was looked for in vain, and what to do."""
    words = [f"The image {uri} cannot be had here."]
    if not seen.known:
        words.append(
            seen.instead
            or "It is none of AWS's framework images, which need no container engine ('wildsage images' lists them)."
        )
    elif prefer is Preference.ENGINE:
        words.append(f"{SETTING} says engine; without it, a Python environment of this machine runs this image.")
    if not seen.engine:
        words.append(f"There is no container engine to run it: {seen.absent}")
        if seen.registered:
            words.append("This server's registry has it, so an engine is all that is missing.")
        return words
    words.append("This server's registry, which its name says, has no such image, and the container engine neither.")
    words.append("Push it (docker push), or build it under this name (docker build --tag).")
    return words

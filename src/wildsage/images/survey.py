"""What every framework's images come to on this machine: for people to read, and to take built environments away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core import trees
from wildsage.core.errors import ClientFault, InternalFault, SettingsError
from wildsage.images import recipes, uris
from wildsage.images.environments import Environments
from wildsage.images.recipes import Recipe
from wildsage.runtimes.containers.engine import Engine

HELD = "in the engine"


@dataclass(frozen=True, slots=True)
class Entry:
    """One framework. ``state``: ``here`` (in an interpreter found here), ``built``, ``not built``, ``unfit``.

    Or one image by its ``name``, ``in the engine`` or in a registry; ``where`` is then what it is known by there.

    ``runs``: the distribution and version that any version asked for gets, ``python`` on which. ``where``: the
    interpreter, or the folder that a build would make; ``bytes`` that a built one takes. ``trouble``: why it is unfit.
    """

    name: str
    title: str
    repositories: tuple[str, ...]
    runs: str
    python: str
    state: str
    where: str
    bytes: int = 0
    trouble: str = ""


async def survey(environments: Environments) -> list[Entry]:
    """All of them. Nothing is built."""
    return [await look(environments, recipe) for recipe in recipes.every()]


async def held(environ: Mapping[str, str]) -> list[Entry]:
    """The images with a name in the container engine; none without an engine."""
    engine = Engine(environ)
    if not await engine.answers():
        return []
    return [
        Entry(name, "", (), "", "", HELD, image.short_id, image.size)
        for image in await engine.images()
        for name in image.tags
    ]


async def look(environments: Environments, recipe: Recipe) -> Entry:
    """One of them."""
    repositories = tuple(uris.repositories(recipe.framework))
    place = environments.place(recipe)
    planned = f"{recipe.main[0]} {recipe.version}"
    try:
        found = await environments.look(recipe)
    except (ClientFault, InternalFault) as fault:
        return Entry(recipe.framework, recipe.title, repositories, "", "", "unfit", "", trouble=str(fault))
    if found is None:
        return Entry(recipe.framework, recipe.title, repositories, planned, "", "not built", str(place))
    main = next(name for name in recipe.main if name in found.versions)
    built = found.python.is_relative_to(place)
    return Entry(
        recipe.framework,
        recipe.title,
        repositories,
        f"{main} {found.versions[main]}",
        found.versions["python"],
        "built" if built else "here",
        str(place if built else found.python),
        size(place) if built else 0,
    )


def remove(place: Path) -> int:
    """Takes a built environment away; the bytes that this gives back, 0 if there was none.

    Raises SettingsError while containers run in it.
    """
    if not place.is_dir():
        return 0
    running = list(_inside(place))
    if running:
        raise SettingsError(
            f"{place} cannot be removed: {len(running)} running processes use it (one of them is {running[0]}). "
            "Wait for their jobs to end, or stop them and delete their endpoints."
        )
    freed = size(place)
    going = place.with_name(f".{place.name}.removed")
    trees.remove(going)
    place.rename(going)
    trees.remove(going)
    return freed


def size(folder: Path) -> int:
    """The bytes that a folder's files take on the disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        total += sum(os.lstat(os.path.join(parent, name)).st_blocks for name in names) * 512  # noqa: PTH118
    return total


def _inside(place: Path) -> Iterator[int]:
    """Processes whose mounts rest on ``place``. Those of other users cannot be asked."""
    text = str(place)
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"{entry.path}/mountinfo", encoding="utf-8", errors="replace") as file:
                if text in file.read():
                    yield int(entry.name)
        except OSError:
            continue  # it has ended, or is another's

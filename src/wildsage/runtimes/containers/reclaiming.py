"""What containers left in the folders of an ordinary user, who could not remove it: root's files become the user's."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from wildsage.core import trees
from wildsage.runtimes.containers import plan
from wildsage.runtimes.containers.api import Api, EngineGone
from wildsage.runtimes.containers.attendant.handing import foreign, hand_over
from wildsage.runtimes.containers.attendant.making import FILES, remove_container


def reclaim(api: Api, directory: Path, aside: Path | None) -> None:
    """All in ``directory`` is the user's then. Raises EngineGone, EngineError.

    Where the engine is gone, what its containers write to goes to the folder ``aside``, for ``reclaim_left``: removing
    the directory must not wait for an engine that may never come back.
    """
    try:
        _hand_over(api, directory)
    except EngineGone:
        if aside is None:
            raise
        left = aside / uuid.uuid4().hex
        aside.mkdir(exist_ok=True)
        directory.rename(left)
        directory.mkdir()
        for each in left.iterdir():
            if not (each.is_dir() and foreign(str(each))):
                each.rename(directory / each.name)


def _hand_over(api: Api, directory: Path) -> None:
    name = plan.name_of(directory)
    if hand_over(api, name, os.path.realpath(directory)):
        remove_container(api, f"{name}-{FILES}")  # it does that by itself, a moment later


def reclaim_left(api: Api, aside: Path) -> None:
    """Removes what was set aside. Raises EngineGone, EngineError."""
    for each in aside.iterdir() if aside.is_dir() else ():
        _hand_over(api, each)
        trees.remove(each)

"""Where the Python environment of a recipe comes from: one that is there already, or one built once and kept."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.errors import ClientFault, InternalFault
from wildsage.images.building import Progress, build
from wildsage.images.recipes import Recipe

_ASK_VERSIONS = (
    "import importlib.metadata as m, json, platform, sys\n"
    "found = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try: found[name] = m.version(name)\n"
    "    except m.PackageNotFoundError: pass\n"
    "print(json.dumps({**found, 'python': platform.python_version()}))"
)


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python environment. ``python``: its interpreter; ``versions``: of the recipe's distributions and ``python``."""

    python: Path
    versions: Mapping[str, str]

    def has(self, recipe: Recipe) -> bool:
        return any(name in self.versions for name in recipe.main) and all(
            name in self.versions for name in recipe.needs
        )

    @property
    def path(self) -> str:
        """PATH of a container that runs it: python3 and pip are the environment's."""
        return f"{self.python.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Environments:
    """Finds or builds environments; one object for each data directory.

    ``folder``: where built ones are kept. ``environ``: the server's environment, for WILDSAGE_PYTHON_<FRAMEWORK>
    and WILDSAGE_TORCH_INDEX.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._known: dict[str, Environment] = {}
        self._building: dict[str, asyncio.Task[Environment]] = {}

    async def resolve(self, recipe: Recipe, progress: Progress | None = None) -> Environment:
        """The environment of ``recipe``.

        The one that ``look`` finds, or one built now (minutes; those who ask meanwhile share it, ``progress`` is that
        of the first). Raises what ``look`` raises, and InternalFault where nothing can be built.
        """
        key = self._setting(recipe) or recipe.framework.value
        found = self._known.get(key)
        if found is None or not found.python.exists():
            found = (await self.look(recipe)) or await self._built(recipe, progress)
            self._known[key] = found
        return found

    async def look(self, recipe: Recipe) -> Environment | None:
        """What is there without a build.

        In this order: the interpreter that WILDSAGE_PYTHON_<FRAMEWORK> names, the one that runs Wildsage, one built
        before. Raises ClientFault where the setting names an unfit interpreter.
        """
        if named := self._setting(recipe):
            return await self._named(recipe, Path(named))
        # Asked in isolation: what lies in the user's home (pip install --user) cannot be seen in a container.
        own = await _examine(recipe, Path(sys.executable))
        if own.has(recipe):
            return own
        python = self.place(recipe) / "bin" / "python"
        return await _examine(recipe, python) if await asyncio.to_thread(python.exists) else None

    def place(self, recipe: Recipe) -> Path:
        """Where the one built here is or would be."""
        return self._folder / f"{recipe.framework}-{sys.version_info.major}.{sys.version_info.minor}"

    def _setting(self, recipe: Recipe) -> str | None:
        return self._environ.get(f"WILDSAGE_PYTHON_{recipe.framework.upper()}")

    async def _named(self, recipe: Recipe, python: Path) -> Environment:
        setting = f"WILDSAGE_PYTHON_{recipe.framework.upper()}"
        if not python.is_absolute() or not os.access(python, os.X_OK):
            raise ClientFault(f"ClientError: {setting} is {python}, which is not the absolute path of an interpreter.")
        environment = await _examine(recipe, python)
        if not environment.has(recipe):
            raise ClientFault(
                f"ClientError: {setting} names {python}, which lacks {', '.join(_missing(recipe, environment))}. "
                f"Install it there, or unset the variable."
            )
        return environment

    async def _built(self, recipe: Recipe, progress: Progress | None) -> Environment:
        task = self._building.get(recipe.framework)
        if task is None:
            task = asyncio.create_task(self._build(recipe, progress or _say_nothing))
            self._building[recipe.framework] = task
            task.add_done_callback(lambda _: self._building.pop(recipe.framework, None))
        return await asyncio.shield(task)

    async def _build(self, recipe: Recipe, report: Progress) -> Environment:
        place = self.place(recipe)
        await build(recipe, place, report, self._environ.get("WILDSAGE_TORCH_INDEX", ""))
        return await _examine(recipe, place / "bin" / "python")


async def _say_nothing(line: str) -> None:
    """The progress of a build nobody watches."""


async def _examine(recipe: Recipe, python: Path) -> Environment:
    """Asks ``python`` which of the recipe's distributions it has; nothing is imported."""
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-I", "-c", _ASK_VERSIONS, *recipe.main, *recipe.needs),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, errors = await process.communicate()
    if process.returncode:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise InternalFault(f"InternalServerError: The interpreter {python} does not work: {last}")
    return Environment(python, json.loads(answer))


def _missing(recipe: Recipe, environment: Environment) -> list[str]:
    missing = [name for name in recipe.needs if name not in environment.versions]
    if not any(name in environment.versions for name in recipe.main):
        missing.insert(0, recipe.main[0])
    return missing

"""Where the Python environment of a recipe comes from: one that is there already, or one built once and kept."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wildsage.core.errors import ClientFault, InternalFault
from wildsage.images.recipes import Recipe

Progress = Callable[[str], Awaitable[None]]
"""Is given the lines that pip prints while an environment is built."""

_LINES_KEPT = 15
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

    ``folder``: where built ones are kept. ``environ``: the server's environment, for WILDSAGE_PYTHON_<FRAMEWORK>.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._known: dict[str, Environment] = {}
        self._building: dict[str, asyncio.Task[Environment]] = {}

    async def resolve(self, recipe: Recipe, progress: Progress | None = None) -> Environment:
        """The environment of ``recipe``.

        In this order: the interpreter that WILDSAGE_PYTHON_<FRAMEWORK> names, the one that runs Wildsage, one built
        before, one built now (minutes; those who ask meanwhile share it, ``progress`` is that of the first). Raises
        ClientFault where the setting names an unfit interpreter and InternalFault where nothing can be built.
        """
        named = self._environ.get(f"WILDSAGE_PYTHON_{recipe.framework.upper()}")
        key = named or recipe.framework.value
        found = self._known.get(key)
        if found is None or not found.python.exists():
            found = await (self._named(recipe, Path(named)) if named else self._found_or_built(recipe, progress))
            self._known[key] = found
        return found

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

    async def _found_or_built(self, recipe: Recipe, progress: Progress | None) -> Environment:
        # Asked in isolation: what lies in the user's home (pip install --user) cannot be seen in a container.
        own = await _examine(recipe, Path(sys.executable))
        if own.has(recipe):
            return own
        python = self._place(recipe) / "bin" / "python"
        if await asyncio.to_thread(python.exists):
            return await _examine(recipe, python)
        task = self._building.get(recipe.framework)
        if task is None:
            task = asyncio.create_task(self._build(recipe, progress))
            self._building[recipe.framework] = task
            task.add_done_callback(lambda _: self._building.pop(recipe.framework, None))
        return await asyncio.shield(task)

    def _place(self, recipe: Recipe) -> Path:
        return self._folder / f"{recipe.framework}-{sys.version_info.major}.{sys.version_info.minor}"

    async def _build(self, recipe: Recipe, progress: Progress | None) -> Environment:
        """Builds under a temporary name and renames: what stands at the place is complete."""
        place = self._place(recipe)
        building = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        report = progress or _say_nothing
        await report(f"[wildsage] Preparing {recipe.title} once, in {place}: {' '.join(recipe.builds)}")
        try:
            await _run(recipe, report, sys.executable, "-m", "venv", "--symlinks", str(building))
            index = ("--extra-index-url", recipe.index) if recipe.index else ()
            pip = (str(building / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input")
            await _run(recipe, report, *pip, "install", "--progress-bar", "off", *index, *recipe.builds)
            await asyncio.to_thread(_settle, building, place)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, building, True)
            raise
        environment = await _examine(recipe, place / "bin" / "python")
        await report(f"[wildsage] {recipe.title} is ready.")
        return environment


async def _say_nothing(line: str) -> None:
    """The progress of a build nobody watches."""


def _settle(building: Path, place: Path) -> None:
    """Scripts name their interpreter by its path, so they are told the final one before the rename."""
    old, new = str(building).encode(), str(place).encode()
    for script in (*(building / "bin").iterdir(), building / "pyvenv.cfg"):
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            if old in content:
                script.write_bytes(content.replace(old, new))
    try:
        building.rename(place)
    except OSError:
        if not (place / "bin" / "python").exists():
            raise
        shutil.rmtree(building)  # another process was faster; its build is as good


async def _run(recipe: Recipe, report: Progress, *command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    last: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            last.append(line)
            await report(line)
        status = await process.wait()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if status:
        raise InternalFault(
            f"InternalServerError: {recipe.title} could not be prepared (pip ended with status {status}). Without "
            f"internet access, install {' '.join(recipe.builds)} into any Python environment and set "
            f"WILDSAGE_PYTHON_{recipe.framework.upper()} to its interpreter, or point pip at a mirror (PIP_INDEX_URL, "
            "PIP_FIND_LINKS) and start wildsage again. The last lines were:\n" + "\n".join(last)
        )


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

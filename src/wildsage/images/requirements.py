"""A job's requirements.txt, installed once for all jobs with the same one: an environment over an environment.

Installing runs what packages bring, so pip runs in a container of its own and never in the server. What it makes is a
virtual environment whose packages go before those of the framework's environment; that one stays as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from wildsage.core import trees
from wildsage.images.building import Progress, settle
from wildsage.runtimes.base import Inside, LaunchSpec, Mount, Phase, Runtime
from wildsage.runtimes.taking import Taking

FOLDER = "requirements"
"""Among the environments: where those of requirements.txt are."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*([<>=!~;(].*)?")
_FILE = "requirements.txt"
# Run by the framework's interpreter: an environment that finds its packages, and pip in its name.
_MAKE = """
import pathlib, sys, sysconfig, venv
place = sys.argv[1]
venv.EnvBuilder(symlinks=True, with_pip=False).create(place)
own = sysconfig.get_path("purelib", vars={"base": place})
line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
pathlib.Path(own, "_wildsage.pth").write_text(line + chr(10))
pip = f"#!{place}/bin/python\\nimport sys\\nfrom pip._internal.cli.main import main\\nsys.exit(main())\\n"
for name in ("pip", "pip3"):
    script = pathlib.Path(place, "bin", name)
    script.write_text(pip)
    script.chmod(0o755)
"""


def shareable(text: str) -> bool:
    """Whether a requirements.txt names packages alone: no options, no files beside it, no addresses."""
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    return bool(wanted) and all(_PLAIN.fullmatch(line) and "@" not in line for line in wanted)


class Requirements:
    """One object for each data directory.

    ``folder``: where they are kept; ``instances``: where containers have their folders.
    """

    def __init__(self, folder: Path, instances: Path, runtime: Runtime) -> None:
        self._folder = folder
        self._instances = instances
        self._runtime = runtime
        self._installing: dict[str, asyncio.Task[Path | None]] = {}

    async def over(self, python: Path, text: str, settings: Mapping[str, str], report: Progress) -> Path | None:
        """The interpreter of ``python``'s environment with what ``text`` asks for; None if pip could not install it.

        ``settings``: variables for pip, which decide with the text what is the same. Jobs that ask while it is being
        installed wait for it.
        """
        same = json.dumps([str(python), text, sorted(settings.items())])
        place = self._folder / hashlib.sha256(same.encode()).hexdigest()[:24]
        found = place / "bin" / "python"
        if await asyncio.to_thread(found.exists):
            await report(f"[wildsage] The packages of {_FILE} were installed before, in {place}.")
            return found
        task = self._installing.get(place.name)
        if task is None:
            task = asyncio.create_task(self._install(python, text, settings, place, report))
            self._installing[place.name] = task
            task.add_done_callback(lambda _: self._installing.pop(place.name, None))
        else:
            await report(f"[wildsage] Waiting for another job that installs the same {_FILE}.")
        return await asyncio.shield(task)

    async def _install(
        self, python: Path, text: str, settings: Mapping[str, str], place: Path, report: Progress
    ) -> Path | None:
        attempt = f"{place.name}-{uuid.uuid4().hex[:8]}"
        building, directory = place.with_name(f".{attempt}"), self._instances / f"requirements-{attempt}"
        await asyncio.to_thread(self._prepare, place, directory, text)
        await report(f"[wildsage] Installing the packages of {_FILE} once, in {place}.")
        try:
            if not await _made(python, building) or not await self._ran(python, building, directory, settings, report):
                await report(f"[wildsage] pip failed; the job tries for itself, without {place}.")
                return None
            await asyncio.to_thread(settle, building, place)
            return place / "bin" / "python"
        finally:
            await asyncio.to_thread(trees.remove, building)
            await asyncio.to_thread(trees.remove, directory)

    def _prepare(self, place: Path, directory: Path, text: str) -> None:
        """What a killed server has left goes; a container whose folder is gone ends by itself."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in (*self._folder.glob(f".{place.name}-*"), *self._instances.glob(f"requirements-{place.name}-*")):
            trees.remove(left)
        (directory / "ml").mkdir(parents=True)
        (directory / "ml" / _FILE).write_text(text)

    async def _ran(
        self, python: Path, building: Path, directory: Path, settings: Mapping[str, str], report: Progress
    ) -> bool:
        """Whether pip did it, in a container that can write to ``building`` alone."""
        pip = (str(building / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off")
        path = f"{building}/bin:{python.parent}:/usr/local/bin:/usr/bin:/bin"
        spec = LaunchSpec(
            name=directory.name,
            directory=directory,
            argv=(*pip, "-r", f"{Inside.ML}/{_FILE}"),
            environment={**settings, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            working_directory=Inside.ML,
            mounts=(Mount(building, str(building)),),
        )
        handle = await self._runtime.launch(spec)
        taking = Taking(self._runtime, handle)
        try:
            async for line in self._runtime.logs(handle, follow=True):
                await report(line.text)
                await taking.up_to(line.offset)
            found = await self._runtime.wait(handle)
            return found.phase is Phase.EXITED and found.exit_code == 0
        finally:
            await self._runtime.remove(handle)


async def _made(python: Path, place: Path) -> bool:
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-I", "-c", _MAKE, str(place)), stdin=asyncio.subprocess.DEVNULL
    )
    return await process.wait() == 0

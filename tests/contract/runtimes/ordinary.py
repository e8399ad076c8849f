"""Runs tests once more as an ordinary user, where the tests themselves run as root."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import wildsage

NOBODY = 65534
PYTHON = "/usr/bin/python3"
_ROOT = Path(__file__).parents[3]


def reachable(path: Path) -> bool:
    """Whether anybody may read it."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents) and bool(path.stat().st_mode & 0o004)


async def run(*command: str, **environment: str) -> tuple[int, str]:
    """Status and output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def group_of(engine: str) -> int:
    """Whose members may use the engine at that address."""
    return Path(engine.removeprefix("unix://")).stat().st_gid


def a_home() -> Iterator[Path]:
    """A folder of the ordinary user, reachable for them; pytest's own are not. Skips where there is root no longer."""
    if os.geteuid() != 0:
        pytest.skip("the suite ran as an ordinary user already")
    folder = Path("/tmp") / f"wildsage-user-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def as_user(groups: str = "") -> tuple[str, ...]:
    """What comes before a command for that user to run it, who belongs to the ``groups`` of these numbers."""
    belongs = f"--groups={groups}" if groups else "--clear-groups"
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", belongs)


def python_path() -> str:
    """PYTHONPATH with which the system's Python has everything. Skips where that, or these, are not for everybody."""
    packages, source = Path(sysconfig.get_path("purelib")), Path(wildsage.__file__).parents[1]
    asked = [PYTHON, "-c", "import sys; print(sys.version_info[:2])"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if version != str(sys.version_info[:2]) or not all(map(reachable, (packages, source, Path(__file__)))):
        pytest.skip(f"needs {PYTHON} of this version, and sources that everybody may read")
    return f"{source}:{packages}"


async def run_tests(home: Path, *tests: str, groups: str = "", **environment: str) -> str:
    """What pytest says of the ``tests`` that all pass, in a virtual environment of the system's Python.

    ``groups``: numbers of those that the user belongs to.
    """
    paths = python_path()
    user = as_user(groups)
    status, out = await run(*user, PYTHON, "-m", "venv", "--without-pip", str(home / "venv"), HOME=str(home))
    assert status == 0, out
    python = str(home / "venv" / "bin" / "python")
    options = ("-q", "-p", "no:cacheprovider", f"--basetemp={home}/t")
    status, out = await run(
        *user, python, "-m", "pytest", *options, *tests, HOME=str(home), PYTHONPATH=paths, **environment
    )
    assert status == 0, out
    assert "passed" in out
    return out

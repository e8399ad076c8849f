"""The sandbox's whole suite once more, as an ordinary user, where the tests themselves run as root."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

import wildsage

_NOBODY = 65534
_PYTHON = "/usr/bin/python3"
_SUITE = Path(__file__).with_name("test_sandbox.py")
_NETWORKS = Path(__file__).with_name("test_sandbox_networks.py")


def _reachable(path: Path) -> bool:
    """Whether anybody may read it."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents) and bool(path.stat().st_mode & 0o004)


async def _run(*command: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=_SUITE.parents[3],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of the ordinary user, reachable for them; pytest's own are not."""
    if os.geteuid() != 0:
        pytest.skip("the suite ran as an ordinary user already")
    folder = Path("/tmp") / f"wildsage-user-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, _NOBODY, _NOBODY)
    return folder


@pytest.mark.timeout(900)
async def test_the_suite_as_an_ordinary_user(home: Path) -> None:
    """With a virtual environment of the system's Python, which such a user can reach."""
    packages, source = Path(sysconfig.get_path("purelib")), Path(wildsage.__file__).parents[1]
    try:
        version = (await _run(_PYTHON, "-c", "import sys; print(sys.version_info[:2])"))[1].strip()
        if version != str(sys.version_info[:2]) or not all(map(_reachable, (packages, source, _SUITE))):
            pytest.skip(f"needs {_PYTHON} of this version, and sources that everybody may read")
        user = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
        status, out = await _run(*user, _PYTHON, "-m", "venv", "--without-pip", str(home / "venv"), HOME=str(home))
        assert status == 0, out
        pytest_options = ("-q", "-p", "no:cacheprovider", f"--basetemp={home}/t", str(_SUITE), str(_NETWORKS))
        status, out = await _run(
            *(*user, str(home / "venv" / "bin" / "python"), "-m", "pytest", *pytest_options),
            HOME=str(home),
            PYTHONPATH=f"{source}:{packages}",
        )
        assert status == 0, out
        assert "passed" in out
    finally:
        shutil.rmtree(home)

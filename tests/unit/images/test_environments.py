"""Finding and building environments. Builds are real but small: from a wheel made here, without a network."""

from __future__ import annotations

import asyncio
import os
import sys
import zipfile
from pathlib import Path

import pytest

from wildsage.core.errors import ClientFault, InternalFault
from wildsage.images.environments import Environments
from wildsage.images.recipes import Recipe
from wildsage.images.uris import Framework

_PIP = Recipe(Framework.SKLEARN, "pip", ("pip",), (), ("pip",))


def _recipe(name: str) -> Recipe:
    return Recipe(Framework.XGBOOST, "Example", ("wildsage-example-cpu", name), (), (name,))


def _wheel(folder: Path, name: str) -> None:
    module = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{module}-1.5-py3-none-any.whl", "w") as wheel:
        info = f"{module}-1.5.dist-info"
        wheel.writestr(f"{module}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{module}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


async def test_the_interpreter_that_runs_wildsage(tmp_path: Path) -> None:
    found = await Environments(tmp_path, {}).resolve(_PIP)
    assert found.python == Path(sys.executable)
    assert found.versions["python"] == "{}.{}.{}".format(*sys.version_info)
    assert found.path.split(":")[0] == str(Path(sys.executable).parent)


async def test_the_interpreter_of_the_setting(tmp_path: Path) -> None:
    found = await Environments(tmp_path, {"WILDSAGE_PYTHON_SKLEARN": sys.executable}).resolve(_PIP)
    assert found.python == Path(sys.executable)


async def test_an_unfit_interpreter_of_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ClientFault, match="lacks absent-thing"):
        await Environments(tmp_path, {"WILDSAGE_PYTHON_XGBOOST": sys.executable}).resolve(
            Recipe(Framework.XGBOOST, "x", ("absent-thing",), (), ())
        )
    with pytest.raises(ClientFault, match="absolute path"):
        await Environments(tmp_path, {"WILDSAGE_PYTHON_SKLEARN": "python3"}).resolve(_PIP)


async def test_built_once_and_shared(tmp_path: Path, offline: Path) -> None:
    _wheel(offline, "wildsage-example")
    lines: list[str] = []

    async def progress(line: str) -> None:
        lines.append(line)

    environments = Environments(tmp_path / "environments", {})
    recipe = _recipe("wildsage-example")
    first, second = await asyncio.gather(environments.resolve(recipe, progress), environments.resolve(recipe, progress))
    assert first == second
    assert first.versions["wildsage-example"] == "1.5"
    assert sum("Preparing Example once" in line for line in lines) == 1
    assert lines[-1] == "[wildsage] Example is ready."
    assert [entry.name for entry in os.scandir(tmp_path / "environments")] == [first.python.parent.parent.name]
    # The scripts know where they are now, and a later server finds it without building.
    pip = await asyncio.create_subprocess_exec(first.python.parent / "pip", "--version", stdout=asyncio.subprocess.PIPE)
    assert str(first.python.parent.parent).encode() in (await pip.communicate())[0]
    assert await Environments(tmp_path / "environments", {}).resolve(recipe) == first


async def test_a_build_that_fails_says_what_to_do(tmp_path: Path, offline: Path) -> None:
    environments = Environments(tmp_path / "environments", {})
    with pytest.raises(InternalFault, match="WILDSAGE_PYTHON_XGBOOST") as caught:
        await environments.resolve(_recipe("wildsage-absent"))
    assert "No matching distribution found for wildsage-absent" in str(caught.value)
    assert list(os.scandir(tmp_path / "environments")) == []

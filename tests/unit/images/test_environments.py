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
from wildsage.images.survey import look, remove, size
from wildsage.images.uris import Framework

_PIP = Recipe(Framework.SKLEARN, "pip", ("pip",), (), ("pip==1",))


def _recipe(name: str) -> Recipe:
    return Recipe(Framework.XGBOOST, "Example", ("wildsage-example-cpu", name), (), (f"{name}==1.5",))


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


def _seen(folder: Path) -> list[str]:
    """Complete environments; the names of all else begin with a dot."""
    return [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]


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


async def test_built_once_for_all_who_ask(tmp_path: Path, offline: Path) -> None:
    """Two tasks of one server and another process; what a killed build has left is taken away."""
    _wheel(offline, "wildsage-example")
    folder, recipe = tmp_path / "environments", _recipe("wildsage-example")
    lines: list[str] = []

    async def progress(line: str) -> None:
        lines.append(line)

    one, other = Environments(folder, {}), Environments(folder, {})
    place = one.place(recipe)
    entry = await look(one, recipe)
    assert (entry.state, entry.runs, entry.where) == ("not built", "wildsage-example-cpu 1.5", str(place))
    half = place.with_name(f".{place.name}.0123")
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").touch()

    asking = (one.resolve(recipe, progress), one.resolve(recipe, progress), other.resolve(recipe, progress))
    first, second, third = await asyncio.gather(*asking)
    assert first == second == third == await other.look(recipe)
    assert first.versions["wildsage-example"] == "1.5"
    assert sum("Preparing Example once" in line for line in lines) == 1
    assert sum("Waiting for another process" in line for line in lines) == 1
    assert "[wildsage] Example is ready." in lines
    assert _seen(folder) == [place.name] and not half.exists()
    # The scripts know where they are now.
    pip = await asyncio.create_subprocess_exec(place / "bin" / "pip", "--version", stdout=asyncio.subprocess.PIPE)
    assert str(place).encode() in (await pip.communicate())[0]

    entry = await look(one, recipe)
    assert (entry.state, entry.runs, entry.where) == ("built", "wildsage-example 1.5", str(place))
    assert entry.bytes == size(place) > 2**20
    assert remove(place) == entry.bytes
    assert remove(place) == 0
    assert (await look(one, recipe)).state == "not built"


async def test_a_build_that_fails_says_what_to_do(tmp_path: Path, offline: Path) -> None:
    environments = Environments(tmp_path / "environments", {})
    with pytest.raises(InternalFault, match="WILDSAGE_PYTHON_XGBOOST") as caught:
        await environments.resolve(_recipe("wildsage-absent"))
    assert "No matching distribution found for wildsage-absent==1.5" in str(caught.value)
    assert _seen(tmp_path / "environments") == []


async def test_an_unfit_setting_is_shown(tmp_path: Path) -> None:
    entry = await look(Environments(tmp_path, {"WILDSAGE_PYTHON_SKLEARN": "/bin/cat"}), _PIP)
    assert entry.state == "unfit" and "/bin/cat" in entry.trouble

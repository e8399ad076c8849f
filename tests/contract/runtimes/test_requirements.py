"""requirements.txt installed once for all jobs with the same one, by real containers from an index on loopback."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from wildsage.images.requirements import Requirements, shareable
from wildsage.runtimes.base import LaunchSpec
from wildsage.runtimes.sandbox.runtime import Sandbox


async def test_installed_once_for_all(tmp_path: Path, index: dict[str, str]) -> None:
    runtime = Sandbox(hidden=[tmp_path])
    shared = Requirements(tmp_path / "environments" / "requirements", tmp_path / "instances", runtime)
    lines: list[str] = []

    async def report(line: str) -> None:
        lines.append(line)

    asked = Path(sys.executable), "wildsage-example==1.5  # ours\n", index, report
    first, second = await asyncio.gather(shared.over(*asked), shared.over(*asked))
    assert first is not None and first == second, "\n".join(lines)
    assert sum("Installing the packages" in line for line in lines) == 1
    assert sum("Waiting for another job" in line for line in lines) == 1
    assert any(line.startswith("Successfully installed wildsage-example-1.5") for line in lines)
    assert await shared.over(*asked) == first
    assert "were installed before" in lines[-1]
    assert [each.name for each in (tmp_path / "environments" / "requirements").iterdir()] == [first.parts[-3]]
    assert list((tmp_path / "instances").iterdir()) == []

    # A job runs with them, with what the framework's environment has, and with a pip that may install more.
    directory = tmp_path / "job"
    (directory / "ml").mkdir(parents=True)
    script = (
        "import numpy, subprocess, sys, wildsage_example\n"
        "print(wildsage_example.VALUE, numpy.__name__, flush=True)\n"
        "subprocess.run('wildsage-example; pip uninstall -q -y wildsage-example', shell=True, check=True)\n"
    )
    environ = {"PATH": f"{first.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"}
    handle = await runtime.launch(LaunchSpec("job", directory, (str(first), "-c", script), environ))
    said = [line.text async for line in runtime.logs(handle, follow=True)]
    assert (await runtime.wait(handle)).exit_code == 0, "\n".join(said)
    await runtime.remove(handle)
    assert said[:2] == ["42 numpy", "called"]
    assert await shared.over(*asked) == first and (first.parent / "wildsage-example").exists()


async def test_what_cannot_be_installed_is_left_to_the_job(tmp_path: Path, index: dict[str, str]) -> None:
    shared = Requirements(tmp_path / "requirements", tmp_path / "instances", Sandbox(hidden=[tmp_path]))
    lines: list[str] = []

    async def report(line: str) -> None:
        lines.append(line)

    assert await shared.over(Path(sys.executable), "wildsage-absent", index, report) is None
    assert any("No matching distribution found for wildsage-absent" in line for line in lines)
    assert list((tmp_path / "requirements").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pandas\nscikit-learn==1.5.1  # why\n\n# all", True),
        ("boto3[crt] >=1.34, <2; python_version > '3.9'", True),
        ("", False),
        ("# nothing\n", False),
        ("-r more.txt", False),
        ("pandas\n--index-url https://example.com", False),
        ("./mine.whl", False),
        ("mine.whl/../x", False),
        ("mine @ file:///opt/ml/code/mine", False),
        ("git+https://example.com/mine.git", False),
    ],
)
def test_what_can_be_shared(text: str, expected: bool) -> None:
    assert shareable(text) is expected

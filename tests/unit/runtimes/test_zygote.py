"""Containers that are forked from a process with their modules in memory."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from wildsage.runtimes.base import Inspection, LaunchSpec, Phase
from wildsage.runtimes.sandbox.runtime import Sandbox
from wildsage.runtimes.sandbox.zygote.keep import Zygotes

MISSING = f"no_such_module_{os.getpid()}"

# "colorsys" is no module that an interpreter imports by itself.
SCRIPT = """
import json, os, sys
print(json.dumps({
    "loaded": "colorsys" in sys.modules, "argv": sys.argv, "mark": os.environ.get("MARK"), "home": os.environ["HOME"],
    "variables": sorted(os.environ), "folder": os.getcwd(), "pid": os.getpid(), "parent": os.getppid(),
    "ml": sorted(os.listdir("/opt/ml")),
    "open": sorted(os.readlink(f"/proc/self/fd/{n}") for n in "012"), "more": len(os.listdir("/proc/self/fd")),
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
    "hostname": os.uname().nodename, "processes": sorted(n for n in os.listdir("/proc") if n.isdigit()),
}))
sys.exit(7)
"""


async def ran(sandbox: Sandbox, directory: Path, *preload: str) -> tuple[dict[str, Any], Inspection]:
    """What the script saw, and how it ended."""
    (directory / "ml").mkdir(parents=True)
    (directory / "ml" / "script.py").write_text(SCRIPT)
    spec = LaunchSpec(
        name=directory.name,
        directory=directory,
        argv=(sys.executable, "/opt/ml/script.py", "--one"),
        environment={"MARK": "here", "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
        working_directory="/opt/ml",
        hostname="forked",
        preload=preload,
    )
    handle = await sandbox.launch(spec)
    ended = await sandbox.wait(handle)
    lines = [line.text async for line in sandbox.logs(handle)]
    await sandbox.remove(handle)
    assert len(lines) == 1, lines
    return json.loads(lines[0]), ended


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def test_a_fork_is_as_good(folder: Path) -> None:
    """But for what is in memory, it sees what an executed container sees."""
    sandbox = Sandbox()
    executed, _ = await ran(sandbox, folder / "executed")
    forked, ended = await ran(sandbox, folder / "forked", "colorsys")
    assert (executed.pop("loaded"), forked.pop("loaded")) == (False, True)
    assert ended.phase is Phase.EXITED
    assert ended.exit_code == 7
    assert forked["parent"] == 1
    assert forked.pop("more") == executed.pop("more") + 1  # by whose end the zygote sees that of the container
    for which in (executed, forked):
        which["open"] = [Path(each).name for each in which["open"]]
        del which["pid"], which["processes"]
    assert forked == executed


async def test_a_zygote_is_found_again_and_replaced(folder: Path) -> None:
    """Another control finds it; one that was killed is started anew; what it cannot import is no obstacle."""
    assert (await ran(Sandbox(), folder / "one", "colorsys", MISSING))[0]["loaded"]
    first = the_zygote()
    assert (await ran(Sandbox(), folder / "two", "colorsys", MISSING))[0]["loaded"]
    assert the_zygote() == first
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not zygotes())
    assert (await ran(Sandbox(), folder / "three", "colorsys", MISSING))[0]["loaded"]


@pytest.mark.parametrize("kind", ["open", "link", "file"])
async def test_what_somebody_else_put_in_its_place_is_not_used(
    kind: str, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's name can be foreseen; who can write there could listen in its stead."""
    folder = short_directory / kind  # a socket's name has at most 107 bytes
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    place = Path(await Zygotes().socket_of(sys.executable, ("colorsys",), folder)).parent
    place = place.rename(folder / "elsewhere") and place
    if kind == "open":
        place.mkdir()
        place.chmod(0o777)
    elif kind == "link":
        place.symlink_to(folder / "elsewhere")
    else:
        place.touch()
    (folder / "elsewhere" / "log").write_text("kept")
    assert await Zygotes().socket_of(sys.executable, ("colorsys",), folder) == ""
    assert (folder / "elsewhere" / "log").read_text() == "kept"


def the_zygote() -> int:
    """Once whatever it forked is gone."""
    wait_until(lambda: len(zygotes()) == 1)
    return zygotes()[0]


def zygotes() -> list[int]:
    """Those of this test, which alone name a module that is not there."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            command = (each / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(word.endswith(b"zygote/main.py") for word in command) and MISSING.encode() in command:
            found.append(int(each.name))
    return found

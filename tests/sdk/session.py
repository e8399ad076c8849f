"""What test_sdks runs in a network without a way out: a server, and both SDKs against it, side by side.

    python -m tests.sdk.session FOLDER

The SDKs look at their jobs every 10 to 30 seconds, so most of the time here is theirs.  Each has an empty HOME and
writes to ``FOLDER/<sdk>.log``; the exit status is how many failed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, Server, clean_environment, start_server

SCRIPTS = {"sdk2": "v2.py", "sdk3": "v3.py"}
SECONDS = 900


def interpreter(name: str) -> Path:
    """The interpreter of the SDK's environment, ``.venv-sdk2`` or ``.venv-sdk3``, which ``make`` makes."""
    path = ROOT / f".venv-{name}" / "bin" / "python"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make {name}` first")
    return path


def start(server: Server, folder: Path, sdk: str) -> subprocess.Popen[bytes]:
    """``wildsage run`` of the SDK's script."""
    home = folder / sdk
    home.mkdir()
    words = [str(interpreter(sdk)), str(ROOT / "tests" / "sdk" / "scripts" / SCRIPTS[sdk]), str(ROOT / "examples")]
    with (folder / f"{sdk}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", *words],
            env={**clean_environment(), "HOME": str(home)},
            cwd=home,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def session(server: Server, folder: Path) -> int:
    running = [start(server, folder, sdk) for sdk in SCRIPTS]
    try:
        return sum(process.wait(SECONDS) != 0 for process in running)
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    started = start_server(place / "data", "--ephemeral")
    try:
        status = session(started, place)
    finally:
        started.stop()
    sys.exit(status)

"""Scripts that use an SDK, run by ``wildsage run`` under the interpreter of the SDK's environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, Server, clean_environment
from tests.sdk.session import interpreter

SCRIPTS = ROOT / "tests" / "sdk" / "scripts"
SECONDS = 900


def command(server: Server, sdk: str, script: str, *words: str) -> list[str]:
    """What runs one of SCRIPTS, or a script at an absolute path; the SDK's pauses are a second at most."""
    run = [str(interpreter(sdk)), str(SCRIPTS / "hurried.py"), str(SCRIPTS / script), *words]
    return [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", *run]


def run(server: Server, home: Path, sdk: str, script: str, *words: str) -> str:
    """What a script wrote, which is given the folder of scripts and then ``words``."""
    done = subprocess.run(
        command(server, sdk, script, str(SCRIPTS), *words),
        env={**clean_environment(), "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout + done.stderr

"""The Hugging Face images through both SDKs: a script trains a tiny model, which the image's own handler serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server, clean_environment
from tests.sdk.session import interpreter

_SECONDS = 900
pytestmark = pytest.mark.timeout(_SECONDS + 60)


@pytest.mark.parametrize(("sdk", "script"), [("sdk2", "huggingface_v2.py"), ("sdk3", "huggingface_v3.py")])
def test_the_sdk_trains_and_serves_transformers(server: Server, tmp_path: Path, sdk: str, script: str) -> None:
    words = [str(interpreter(sdk)), str(ROOT / "tests" / "sdk" / "scripts" / script)]
    done = subprocess.run(
        [sys.executable, "-m", "wildsage.cli", "run", "--data", str(server.data), "--", *words],
        env={**clean_environment(), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert "huggingface: all done" in done.stdout, (done.stdout + done.stderr)[-8000:]

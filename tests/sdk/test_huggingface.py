"""The Hugging Face images through both SDKs: a script trains a tiny model, which the image's own handler serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.mark.parametrize(("sdk", "script"), [("sdk2", "huggingface_v2.py"), ("sdk3", "huggingface_v3.py")])
def test_the_sdk_trains_and_serves_transformers(server: Server, tmp_path: Path, sdk: str, script: str) -> None:
    said = run(server, tmp_path, sdk, script)
    assert "huggingface: all done" in said, said[-8000:]

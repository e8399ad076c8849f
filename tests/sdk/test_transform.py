"""Batch transform as both SDKs ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import ROOT, Server
from tests.e2e.jobs import archive, upload
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)

SCRIPT = """
import json
def model_fn(folder): return 2
def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else body.decode()
    return "".join(f"{model * json.loads(line)}\\n" for line in text.splitlines()), accept
"""


def test_sdk_2_transforms(server: Server, tmp_path: Path) -> None:
    said = run(server, tmp_path, "sdk2", "transform_v2.py", str(ROOT / "examples"))
    assert "transform: all done" in said, said[-8000:]
    assert "the model is loaded" in said  # the log reached the terminal


def test_sdk_3_transforms(server: Server, tmp_path: Path) -> None:
    data = upload(server, "transform-v3/model.tar.gz", archive("code/inference.py", SCRIPT))
    said = run(server, tmp_path, "sdk3", "transform_v3.py", data)
    assert "transform: all done" in said, said[-8000:]

"""Other people's S3 clients, unchanged, in an environment of their own that ``make s3clients`` makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import ROOT, Server
from tests.sdk.session import interpreter

SCRIPTS = ("s3_frames", "s3_minio", "s3_s3cmd")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_client_s_whole_round(server: Server, tmp_path: Path, script: str) -> None:
    path = ROOT / "tests" / "sdk" / "scripts" / f"{script}.py"
    done = server.run(str(interpreter("s3clients")), str(path), script.replace("_", "-"), cwd=tmp_path)
    assert "all done" in done.stdout, done.stdout + done.stderr

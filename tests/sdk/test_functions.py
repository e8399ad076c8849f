"""Lambda functions, as the helpers of both SDKs ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.mark.parametrize(
    ("sdk", "helper"), [("sdk2", "sagemaker.lambda_helper"), ("sdk3", "sagemaker.core.lambda_helper")]
)
def test_the_helper_of_the_sdk(server: Server, tmp_path: Path, sdk: str, helper: str) -> None:
    said = run(server, tmp_path, sdk, "functions.py", helper)
    assert "functions: all done" in said, said[-8000:]

"""Images of one's own, as both SDKs ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.byoc_images import Images
from tests.conftest import Server
from tests.e2e.containers import iris
from tests.e2e.jobs import log_lines
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_trains_and_serves(server: Server, images: Images, tmp_path: Path, sdk: str) -> None:
    data = iris(server)["DataSource"]["S3DataSource"]["S3Uri"]
    said = run(server, tmp_path, sdk, f"byoc_{sdk.replace('sdk', 'v')}.py", images.trees(), data)
    assert "byoc: all done" in said, said[-8000:]
    log = log_lines(server, "/aws/sagemaker/TrainingJobs", f"{sdk}-byoc")
    assert "rows=150 leaves=4" in log
    if sdk == "sdk3":
        assert "parameters {'max_leaf_nodes': 4} channel ['iris.csv']" in log

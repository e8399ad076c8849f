"""``wildsage images`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import wildsage


def test_the_list_and_what_cannot_be_asked(tmp_path: Path) -> None:
    done = wildsage("images", "--json", "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert entries["sklearn"]["runs"].startswith("scikit-learn ")
    assert entries["sklearn"]["repositories"] == ["sagemaker-scikit-learn"]
    assert {entry["state"] for entry in entries.values()} <= {"here", "built", "not built", "in the engine"}
    assert "EVERY VERSION RUNS" in wildsage("images", "--data", str(tmp_path)).stdout
    assert "Nothing was built" in wildsage("images", "remove", "requirements", "--data", str(tmp_path)).stdout
    refused = wildsage("images", "build", "caffe", "--data", str(tmp_path))
    assert refused.returncode == 2 and "sklearn, xgboost" in refused.stderr
    assert wildsage("images", "build", "--data", str(tmp_path)).returncode == 2

"""Amazon's built-in algorithms through both SDKs' own classes, on real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import dump_svmlight_file, load_breast_cancer, load_iris
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data sets as the scripts look for them."""
    for name, load in (("iris", load_iris), ("cancer", load_breast_cancer)):
        x, y = load(return_X_y=True)
        np.savez(tmp_path / f"{name}.npz", x=x.astype(np.float32), y=y.astype(np.float32))
    x, y = load_breast_cancer(return_X_y=True)
    dump_svmlight_file(x, y, str(tmp_path / "cancer.libsvm"), zero_based=True)
    np.savetxt(tmp_path / "cancer.csv", np.column_stack([y, x]), delimiter=",", fmt="%.7g")
    return tmp_path


@pytest.mark.parametrize(("sdk", "script"), [("sdk2", "algorithms.py"), ("sdk3", "algorithms_v3.py")])
def test_the_sdk_trains_built_in_algorithms(server: Server, folder: Path, sdk: str, script: str) -> None:
    said = run(server, folder, sdk, script, str(folder))
    assert "algorithms: all done" in said, said[-8000:]

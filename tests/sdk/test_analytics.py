"""The values that a job's log showed, as the SDKs' tables have them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.sagemaker.conftest import BUCKET, SKLEARN, Account
from tests.conftest import Server
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 240)  # and what the job takes

SCRIPT = "for loss in (3.0, 2.0, 1.0): print(f'loss={loss};', flush=True)\nprint('accuracy=0.75;')\n"
METRICS = [{"Name": name, "Regex": f"{name}=(.*?);"} for name in ("loss", "accuracy")]


@pytest.fixture(scope="module")
def job(server: Server) -> str:
    clients = [server.client(name) for name in ("s3", "sagemaker", "sagemaker-runtime", "logs")]
    account = Account(server, *clients)
    account.s3.create_bucket(Bucket=BUCKET)  # it may be there
    algorithm = {"TrainingImage": SKLEARN, "TrainingInputMode": "File", "MetricDefinitions": METRICS}
    name = account.train(SCRIPT, AlgorithmSpecification=algorithm)
    described = account.trained(name)
    assert described["TrainingJobStatus"] == "Completed", described
    final = {each["MetricName"]: each["Value"] for each in described["FinalMetricDataList"]}
    assert final == {"loss": 1.0, "accuracy": 0.75}
    return name


@pytest.mark.parametrize(("sdk", "module"), [("sdk2", "sagemaker.analytics"), ("sdk3", "sagemaker.core.analytics")])
def test_training_job_analytics(server: Server, tmp_path: Path, job: str, sdk: str, module: str) -> None:
    said = run(server, tmp_path, sdk, "analytics.py", job, module)
    assert "analytics: all done" in said, said[-8000:]

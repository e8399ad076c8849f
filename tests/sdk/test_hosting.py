"""Endpoints with several variants, and their updates, as both SDKs ask for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server
from tests.e2e.jobs import IMAGE, archive, upload
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)

SCRIPT = """
import json, os
def model_fn(folder): return float(os.environ["FACTOR"])
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return [each * model for each in data]
def output_fn(prediction, accept): return json.dumps(prediction)
"""


@pytest.fixture(scope="module")
def models(server: Server) -> list[str]:
    """Three that multiply by 1, 2 and 3."""
    code = upload(server, "hosting/code.tar.gz", archive("serve.py", SCRIPT))
    data = upload(server, "hosting/model.tar.gz", archive("nothing", ""))
    variables = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    names = [f"times-{factor}" for factor in (1, 2, 3)]
    for factor, name in enumerate(names, 1):
        container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": {**variables, "FACTOR": str(factor)}}
        server.client("sagemaker").create_model(
            ModelName=name, ExecutionRoleArn=server.role, PrimaryContainer=container
        )
    return names


@pytest.mark.parametrize("sdk", ["sdk2", "sdk3"])
def test_the_sdk_updates_endpoints(server: Server, tmp_path: Path, models: list[str], sdk: str) -> None:
    said = run(server, tmp_path, sdk, f"hosting_{sdk.replace('sdk', 'v')}.py", *models)
    assert "hosting: all done" in said, said[-8000:]


def test_the_sdk_captures_data(server: Server, tmp_path: Path, models: list[str]) -> None:
    said = run(server, tmp_path, "sdk2", "capture_v2.py", models[0])
    assert "capture: all done" in said, said[-8000:]


def test_sdk_v2_puts_models_in_series(server: Server, tmp_path: Path) -> None:
    """The example: scikit-learn, the built-in XGBoost and a script, on real data."""
    said = run(server, tmp_path, "sdk2", str(ROOT / "examples" / "pipeline" / "deploy.py"))
    found = re.search(r"(\d+) of 178 wines recognised; the first: (.*)", said)
    assert found is not None, said[-8000:]
    assert int(found[1]) > 170
    assert "'cultivar': 'class_0'" in found[2]
    assert "without its alcohol: {'cultivar': 'class_0'" in said


def test_sdk_v3_puts_models_in_series(server: Server, tmp_path: Path, models: list[str]) -> None:
    said = run(server, tmp_path, "sdk3", "pipeline_v3.py", server.role, *models)
    assert "pipeline: all done" in said, said[-8000:]


def test_sdk_v2_deploys_serverless(server: Server, tmp_path: Path, models: list[str]) -> None:
    code = server.client("sagemaker").describe_model(ModelName=models[0])["PrimaryContainer"]["Environment"]
    said = run(server, tmp_path, "sdk2", "serverless_v2.py", server.role, code["SAGEMAKER_SUBMIT_DIRECTORY"])
    assert "serverless: all done" in said, said[-8000:]


def test_sdk_v3_deploys_serverless(server: Server, tmp_path: Path, models: list[str]) -> None:
    said = run(server, tmp_path, "sdk3", "serverless_v3.py", server.role, models[2])
    assert "serverless: all done" in said, said[-8000:]


def test_sdk_v2_streams_what_a_model_writes(server: Server, tmp_path: Path) -> None:
    """The example: a small GPT, trained, served serverless, its characters streamed."""
    said = run(server, tmp_path, "sdk2", str(ROOT / "examples" / "generation" / "deploy.py"), "--steps", "20")
    found = re.search(r"200 characters in (\d+) pieces, the first after", said)
    assert found is not None, said[-8000:]
    assert int(found[1]) > 10

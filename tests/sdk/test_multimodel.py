"""Multi-model endpoints, as both SDKs ask for them."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from tests.conftest import ROOT, Server
from tests.e2e.jobs import BUCKET, IMAGE, archive, upload
from tests.sdk.running import SECONDS, run

pytestmark = pytest.mark.timeout(SECONDS + 60)

SCRIPT = """
import json, os
def model_fn(folder): return float(open(os.path.join(folder, "factor")).read())
def input_fn(body, content_type): return json.loads(body)
def predict_fn(data, model): return [each * model for each in data]
def output_fn(prediction, accept): return json.dumps(prediction)
"""


def test_sdk_v2_adds_models(server: Server, tmp_path: Path) -> None:
    said = run(server, tmp_path, "sdk2", "multimodel_v2.py", uuid.uuid4().hex)
    assert "multimodel: all done" in said, said[-8000:]


def test_sdk_v3_names_models(server: Server, tmp_path: Path) -> None:
    code = upload(server, "multimodel/code.tar.gz", archive("serve.py", SCRIPT))
    for name, factor in (("two", 2), ("three", 3)):
        upload(server, f"multimodel/models/{name}.tar.gz", archive("factor", str(factor)))
    said = run(server, tmp_path, "sdk3", "multimodel_v3.py", IMAGE, code, f"s3://{BUCKET}/multimodel/models/")
    assert "multimodel: all done" in said, said[-8000:]


def test_the_example_recognises_digits(server: Server, tmp_path: Path) -> None:
    said = run(server, tmp_path, "sdk2", str(ROOT / "examples" / "manymodels" / "deploy.py"))
    found = re.search(r"10 models; (\d+) of 100 images recognised", said)
    assert found is not None, said[-8000:]
    assert int(found[1]) > 90
    assert "another: True" in said

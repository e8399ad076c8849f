"""Scripts that import AWS's toolkits find what they need, under any interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import wildsage

SHIMS = Path(wildsage.__file__).parent / "toolkit" / "shims"

# The imports of AWS's own examples.
_EXAMPLES = """
import json, os
import numpy as np
import sagemaker_xgboost_container.encoder as xgb_encoders
from sagemaker_containers.beta.framework import content_types, encoders, env, modules, transformer, worker
from sagemaker_inference import content_types, decoder, default_inference_handler, encoder, errors
from sagemaker_training import environment

job = environment.Environment()
assert job.hosts == ["algo-1"] and job.hyperparameters["rate"] == 0.5 and dict(job)["num_gpus"] == 0
assert env.training_env().model_dir == "/opt/ml/model"

assert encoders.encode(np.array([1, 2]), "application/json") == "[1, 2]"
assert encoders.csv_to_numpy("1,2").tolist() == [1.0, 2.0]
assert encoders.npy_to_numpy(encoders.array_to_npy([[1.0]])).tolist() == [[1.0]]
response = worker.Response(encoders.encode([1], "text/csv"), "text/csv", mimetype="text/csv")
assert (response.get_data(), response.content_type, response.status_code) == (b"1\\n", "text/csv", 200)

class Handler(default_inference_handler.DefaultInferenceHandler):
    def default_predict_fn(self, data, model, context=None):
        return data * 2

handler = Handler()
data = handler.default_predict_fn(handler.default_input_fn("[[1, 2]]", content_types.JSON), None)
assert handler.default_output_fn(data, "application/json") == ("[[2, 4]]", "application/json")
assert decoder.decode("1,2", "text/csv").tolist() == [1.0, 2.0]
try:
    encoder.encode(data, "text/html")
except errors.UnsupportedFormatError as error:
    assert "text/html is not supported" in str(error)
assert errors.GenericInferenceToolkitError(418).status_code == 418
assert xgb_encoders.libsvm_to_dmatrix("0 1:2 3:4").num_col() == 3
assert xgb_encoders.decode("1,2", "text/csv; charset=utf-8").num_row() == 1
print("fine")
"""


def run(script: str, *path: Path) -> str:
    description = {
        "hosts": ["algo-1"],
        "hyperparameters": {"rate": 0.5},
        "num_gpus": 0,
        "model_dir": "/opt/ml/model",
    }
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (SHIMS, *path))),
        "SM_TRAINING_ENV": json.dumps(description),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_imports_of_examples() -> None:
    assert run(_EXAMPLES) == "fine\n"


def test_a_real_package_goes_first(tmp_path: Path) -> None:
    real = tmp_path / "sagemaker_inference"
    real.mkdir()
    (real / "__init__.py").touch()
    (real / "encoder.py").write_text("REAL = True")
    script = "from sagemaker_inference import content_types, encoder; print(encoder.REAL, content_types.JSON)"
    assert run(script, tmp_path) == "True application/json\n"

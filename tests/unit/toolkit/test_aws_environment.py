"""The SM_* environment beside that of AWS's own toolkit, sagemaker-training from PyPI, on the same job."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT

from wildsage.toolkit import train

THEIRS = ROOT / ".venv-training" / "bin" / "python"
_HOSTS = ["algo-1", "algo-2", "algo-3"]
_ONE = {"current_host": "algo-1", "current_instance_type": "ml.m5.large", "hosts": ["algo-1"]}
_GROUPS = [
    {"instance_group_name": "cpus", "instance_type": "ml.m5.large", "hosts": _HOSTS[:2]},
    {"instance_group_name": "gpus", "instance_type": "ml.p3.2xlarge", "hosts": _HOSTS[2:]},
]
_HYPERPARAMETERS = {
    "sagemaker_program": '"train.py"',
    "sagemaker_submit_directory": '"s3://bucket/sourcedir.tar.gz"',
    "sagemaker_job_name": '"job-1"',
    "sagemaker_region": '"us-east-1"',
    "sagemaker_container_log_level": "30",
    "sagemaker_custom": '"mine"',
    "rate": "0.5",
    "epochs": "10",
    "name": '"text"',
    "plain": "not json",
    "flag": "true",
    "nothing": "null",
    "layers": "[3, 2]",
    "options": '{"b": 1, "a": {"c": 2}}',
    "n-estimators": "7",
    "x": "1",
}
_RESOURCES: dict[str, dict[str, Any]] = {
    "one": {**_ONE, "network_interface_name": "eth0"},
    "several": {
        **_ONE,
        "current_host": "algo-2",
        "hosts": _HOSTS,
        "current_group_name": "homogeneousCluster",
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": _HOSTS}
        ],
    },
    "groups": {
        **_ONE,
        "current_host": "algo-3",
        "current_instance_type": "ml.p3.2xlarge",
        "hosts": _HOSTS,
        "current_group_name": "gpus",
        "instance_groups": _GROUPS,
    },
}
_INPUTS = {
    "train": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"},
    "validation": {"TrainingInputMode": "Pipe", "ContentType": "text/csv"},
}
_FURTHER: dict[str, dict[str, str]] = {
    "plain": {},
    "distributed": {"sagemaker_torch_distributed_enabled": "true", "sagemaker_instance_type": '"ml.m5.large"'},
    "distributed-groups": {
        "sagemaker_mpi_enabled": "true",
        "sagemaker_distribution_instance_groups": '["cpus"]',
    },
}


def _job(base: Path, resources: Mapping[str, Any], hyperparameters: Mapping[str, str]) -> dict[str, str]:
    """Writes a job's configuration; the variables that its container has besides."""
    folder = base / "input" / "config"
    folder.mkdir(parents=True)
    for name, values in {
        "hyperparameters": hyperparameters,
        "resourceconfig": resources,
        "inputdataconfig": _INPUTS,
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
    return {
        "PATH": os.environ["PATH"],
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main",
        "TRAINING_JOB_NAME": "job-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _read(values: Mapping[str, str]) -> dict[str, Any]:
    """JSON is compared by what it says, text as it is."""
    read: dict[str, Any] = {}
    for name, value in values.items():
        try:
            read[name] = json.loads(value)
        except ValueError:
            read[name] = value
    return read


@pytest.mark.parametrize("resources", _RESOURCES)
@pytest.mark.parametrize("further", _FURTHER)
def test_names_and_values_are_those_of_aws(tmp_path: Path, resources: str, further: str) -> None:
    if not THEIRS.exists():
        raise FileNotFoundError(f"{THEIRS} is missing: run `make training` first")
    base = tmp_path / "ml"
    given = {**_HYPERPARAMETERS, **_FURTHER[further]}
    environ = _job(base, _RESOURCES[resources], given)
    script = Path(__file__).with_name("aws_environment.py")
    done = subprocess.run([THEIRS, script], env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])

    # The folders are read from the environment when the module is loaded, so they are ours by name here.
    described = train.describe(given, _RESOURCES[resources], _INPUTS, environ)
    text = json.dumps(train.variables(described)).replace("/opt/ml", str(base))
    ours = json.loads(text)
    assert set(ours) == set(theirs)
    assert _read(ours) == _read(theirs)
    assert ours["SM_HPS"] == theirs["SM_HPS"]
    assert ours["SM_USER_ARGS"] == theirs["SM_USER_ARGS"]

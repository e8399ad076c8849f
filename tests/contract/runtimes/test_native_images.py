"""Native images in the sandbox: the toolkit, pip, and the shell driver of the SDK's ModelTrainer."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from wildsage.images import native
from wildsage.images.environments import Environment
from wildsage.images.recipes import recipe_for
from wildsage.images.uris import Role
from wildsage.runtimes.base import LaunchSpec
from wildsage.runtimes.sandbox.runtime import Sandbox

_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"

# What the SDK's template comes to for a basic script (sagemaker-train, templates.py).
_DRIVER = """
#!/bin/bash
set -e
SM_PYTHON_CMD=$(command -v python3 || command -v python)
SM_PIP_CMD=$(command -v pip3 || command -v pip)
$SM_PYTHON_CMD --version
cat /opt/ml/input/config/resourceconfig.json
$SM_PYTHON_CMD -c "open('/opt/ml/input/sm_training.env', 'w').write('export SM_MODEL_DIR=/opt/ml/model')"
source /opt/ml/input/sm_training.env
cd /opt/ml/input/data/code
$SM_PIP_CMD install --no-index -r requirements.txt
$SM_PYTHON_CMD train.py
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Sandbox:
    return Sandbox(hidden=[tmp_path])


@pytest.fixture
def environment() -> Environment:
    """The one that runs the tests."""
    return Environment(Path(sys.executable), {"python": "3"})


@pytest.fixture
def spec(tmp_path: Path, environment: Environment) -> LaunchSpec:
    image, recipe = recipe_for(_IMAGE, Role.TRAINING)
    configuration = tmp_path / "ml" / "input" / "config"
    configuration.mkdir(parents=True)
    (configuration / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    (configuration / "hyperparameters.json").write_text(json.dumps({"sagemaker_program": '"train.py"', "rate": "0.5"}))
    (configuration / "inputdataconfig.json").write_text("{}")
    return LaunchSpec(
        "job",
        tmp_path,
        native.train_command(environment),
        native.environment_variables(image, recipe, environment),
        mounts=native.toolkit_mounts(),
    )


def _with_requirement(folder: Path, script: str) -> None:
    """A script, and a requirements.txt that a wheel beside it satisfies."""
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(script)
    (folder / "requirements.txt").write_text("./wildsage_example-1.5-py3-none-any.whl\n")
    with zipfile.ZipFile(folder / "wildsage_example-1.5-py3-none-any.whl", "w") as wheel:
        info = "wildsage_example-1.5.dist-info"
        wheel.writestr("wildsage_example.py", "VALUE = 42")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: wildsage-example\nVersion: 1.5\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


async def _outcome(runtime: Sandbox, spec: LaunchSpec) -> AsyncIterator[str]:
    handle = await runtime.launch(spec)
    async for line in runtime.logs(handle, follow=True):
        yield line.text
    yield f"exit {(await runtime.wait(handle)).exit_code}"
    await runtime.remove(handle)


async def test_script_mode_with_requirements(runtime: Sandbox, spec: LaunchSpec, tmp_path: Path) -> None:
    script = (
        "import os, sys, wildsage_example\n"
        "print('value', wildsage_example.VALUE, sys.argv[1:], os.environ['SM_FRAMEWORK_MODULE'])\n"
        "open(os.environ['SM_MODEL_DIR'] + '/model.txt', 'w').write('trained')"
    )
    _with_requirement(tmp_path / "ml" / "code", script)
    lines = [line async for line in _outcome(runtime, spec)]
    assert "value 42 ['--rate', '0.5'] sagemaker_sklearn_container.training:main" in lines, "\n".join(lines)
    assert lines[-1] == "exit 0"
    assert (tmp_path / "ml" / "model" / "model.txt").read_text() == "trained"


async def test_a_script_that_fails(runtime: Sandbox, spec: LaunchSpec, tmp_path: Path) -> None:
    (tmp_path / "ml" / "code").mkdir()
    (tmp_path / "ml" / "code" / "train.py").write_text("raise KeyError('age')")
    lines = [line async for line in _outcome(runtime, spec)]
    assert lines[-1] == "exit 1"
    failure = (tmp_path / "ml" / "output" / "failure").read_text()
    assert failure.startswith("ExecuteUserScriptError:\nExitCode 1") and "KeyError: 'age'" in failure


async def test_the_shell_driver(runtime: Sandbox, spec: LaunchSpec, tmp_path: Path) -> None:
    data = tmp_path / "ml" / "input" / "data"
    _with_requirement(data / "code", "import os, wildsage_example; print(os.environ['SM_MODEL_DIR'])")
    (data / "sm_drivers").mkdir()
    (data / "sm_drivers" / "sm_train.sh").write_text(_DRIVER)
    driver = replace(spec, argv=("/bin/bash", "/opt/ml/input/data/sm_drivers/sm_train.sh"))
    lines = [line async for line in _outcome(runtime, driver)]
    assert lines[-2:] == ["/opt/ml/model", "exit 0"], "\n".join(lines)
    assert lines[0] == "Python {}.{}.{}".format(*sys.version_info)

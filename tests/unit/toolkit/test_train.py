"""The training half of the toolkit, run as a process over a folder that stands for /opt/ml."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import wildsage
from wildsage.toolkit import train

SCRIPT = Path(wildsage.__file__).parent / "toolkit" / "train.py"


class Job:
    """One job's folder, and what came of running it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.code = base / "code"
        self.code.mkdir(parents=True)
        (base / "input" / "config").mkdir(parents=True)
        self.configure(
            "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
        )

    def configure(self, name: str, values: dict[str, object]) -> None:
        (self.base / "input" / "config" / f"{name}.json").write_text(json.dumps(values))

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(self.base), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **environment: str) -> tuple[int, str, str]:
        process = self.start(**environment)
        out, errors = process.communicate(timeout=60)
        return process.returncode, out, errors

    def write(self, name: str, text: str) -> None:
        (self.code / name).write_text(text)

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


def test_arguments_and_variables(job: Job) -> None:
    job.write("train.py", "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))")
    job.configure(
        "hyperparameters",
        {
            "sagemaker_program": '"train.py"',
            "sagemaker_job_name": '"job-1"',
            "sagemaker_submit_directory": '"s3://bucket/sourcedir.tar.gz"',
            "sagemaker_custom": "1",
            "zeta": '"text"',
            "n-estimators": "100",
            "rate": "0.5",
            "flag": "true",
            "layers": '{"b": 2, "a": 1}',
            "plain": "not json",
            "x": "null",
        },
    )
    job.configure("inputdataconfig", {"train": {"TrainingInputMode": "File"}, "test": {"TrainingInputMode": "File"}})
    status, out, errors = job.run(TRAINING_JOB_NAME="job-1", SAGEMAKER_TRAINING_MODULE="m:main", SM_NUM_CPUS="4")
    assert status == 0, errors
    line, environ, directory = json.loads(out)
    assert " ".join(line) == (
        "--flag True --layers a=1,b=2 --n-estimators 100 --plain not json --rate 0.5 -x  --zeta text"
    )
    base = str(job.base)
    assert directory == f"{base}/code"
    expected = {
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_CHANNELS": '["test","train"]',
        "SM_CHANNEL_TRAIN": f"{base}/input/data/train",
        "SM_MODEL_DIR": f"{base}/model",
        "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{base}/output/intermediate",
        "SM_HP_N-ESTIMATORS": "100",
        "SM_HP_FLAG": "true",
        "SM_HP_ZETA": "text",
        "SM_HP_X": "",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": "s3://bucket/sourcedir.tar.gz",
        "SM_FRAMEWORK_MODULE": "m:main",
        "SM_FRAMEWORK_PARAMS": '{"sagemaker_custom":1}',
        "SM_NUM_CPUS": "4",
        "SM_NUM_NEURONS": "0",
        "SM_LOG_LEVEL": "20",
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_IS_HETERO": "false",
        "SM_INPUT_DIR": f"{base}/input",
        "SM_INPUT_CONFIG_DIR": f"{base}/input/config",
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert json.loads(environ["SM_USER_ARGS"]) == line
    assert json.loads(environ["SM_HPS"])["layers"] == {"a": 1, "b": 2}
    described = json.loads(environ["SM_TRAINING_ENV"])
    assert (described["job_name"], described["is_master"], described["hyperparameters"]["rate"]) == ("job-1", True, 0.5)
    assert "Invoking script with the following command" in errors
    assert errors.rstrip().endswith("Reporting training SUCCESS")
    assert (job.base / "output" / "success").exists()


def test_a_script_that_raises(job: Job) -> None:
    job.write("train.py", "import sys\nprint('warming up', file=sys.stderr)\nraise ValueError('no such column: age')")
    status, _, errors = job.run(SAGEMAKER_PROGRAM="train.py")
    assert status == 1
    assert "warming up" in errors and "Reporting training FAILURE" in errors
    assert job.failure == (
        "ExecuteUserScriptError:\nExitCode 1\nErrorMessage \"raise ValueError('no such column: age')\n"
        f'ValueError: no such column: age"\nCommand "{sys.executable} train.py"'
    )


def test_the_exit_status_is_passed_on(job: Job) -> None:
    job.write("train.py", "raise SystemExit(3)")
    assert job.run(SAGEMAKER_PROGRAM="train.py")[0] == 3
    assert "ExitCode 3" in job.failure


def test_a_killed_script(job: Job) -> None:
    job.write("train.py", "import os; os.kill(os.getpid(), 9)")
    assert job.run(SAGEMAKER_PROGRAM="train.py")[0] == 137
    assert 'ExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' in job.failure


def test_a_failure_file_of_the_script_stays(job: Job) -> None:
    job.write("train.py", f"open('{job.base}/output/failure', 'w').write('mine'); raise SystemExit(1)")
    assert job.run(SAGEMAKER_PROGRAM="train.py")[0] == 1
    assert job.failure == "mine"


def test_shell_entry_point(job: Job) -> None:
    job.write("run.sh", "#!/bin/bash\necho \"got $1 $2\" && [[ $SM_HP_AB == 'b c' ]]")
    job.configure("hyperparameters", {"ab": '"b c"'})
    status, out, errors = job.run(SAGEMAKER_PROGRAM="run.sh")
    assert (status, out) == (0, "got --ab b c\n"), errors


def test_script_in_a_folder_imports_its_neighbours(job: Job) -> None:
    (job.code / "sub").mkdir()
    job.write("common.py", "NAME = 'neighbour'")
    job.write("sub/train.py", "import common; print(common.NAME)")
    assert job.run(SAGEMAKER_PROGRAM="sub/train.py")[:2] == (0, "neighbour\n")


@pytest.mark.parametrize("staged", [True, False])
def test_archives(job: Job, tmp_path: Path, staged: bool) -> None:
    (tmp_path / "train.py").write_text("print('unpacked')")
    archive = (job.code if staged else tmp_path) / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "train.py", "train.py")
    directory = "s3://bucket/sourcedir.tar.gz" if staged else str(archive)
    status, out, errors = job.run(SAGEMAKER_PROGRAM="train.py", SAGEMAKER_SUBMIT_DIRECTORY=directory)
    assert (status, out) == (0, "unpacked\n"), errors


def test_a_local_folder(job: Job, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.py").write_text("print('copied')")
    status, out, errors = job.run(SAGEMAKER_PROGRAM="train.py", SAGEMAKER_SUBMIT_DIRECTORY=str(tmp_path / "mine"))
    assert (status, out) == (0, "copied\n"), errors


def test_no_entry_point(job: Job) -> None:
    assert job.run()[0] == 1
    assert "sagemaker_program" in job.failure


def test_absent_script(job: Job) -> None:
    assert job.run(SAGEMAKER_PROGRAM="gone.py")[0] == 2
    assert "gone.py is not in the source directory" in job.failure


def test_sigterm_reaches_the_script(job: Job) -> None:
    job.write(
        "train.py",
        "import os, signal, sys, time\n"
        "def stop(*_): os.write(1, b'saved\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop); print('ready')\n"
        "while True: time.sleep(600)",
    )
    process = job.start(SAGEMAKER_PROGRAM="train.py")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "saved\n")


def test_a_grandchild_that_holds_stderr_does_not_hold_the_job(job: Job) -> None:
    job.write("train.py", "import subprocess; print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid)")
    process = job.start(SAGEMAKER_PROGRAM="train.py")
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    assert process.wait(timeout=60) == 0
    os.kill(grandchild, signal.SIGKILL)
    process.communicate()


def test_requirements_that_cannot_be_had(job: Job, tmp_path: Path) -> None:
    job.write("train.py", "print('never')")
    job.write("requirements.txt", "no-such-distribution-anywhere==1.0\n")
    status, out, errors = job.run(SAGEMAKER_PROGRAM="train.py", PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    assert (status, "never" in out) == (1, False)
    assert job.failure.startswith('InstallRequirementsError:\nExitCode 1\nErrorMessage "ERROR: ')
    assert "PIP_INDEX_URL" in errors


def test_several_hosts() -> None:
    resources = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}
    described = train.describe({"sagemaker_torch_distributed_enabled": "true"}, resources, {}, {})
    assert (described["master_hostname"], described["is_master"]) == ("algo-1", False)
    assert described["distribution_instance_groups"] == ["homogeneousCluster"]


def test_lists_are_written_as_python_writes_them() -> None:
    assert train.arguments({"sizes": [1, "a"], "none": None}) == ["--none", "", "--sizes", "[1, 'a']"]

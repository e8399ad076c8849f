"""The stand-ins that SDK v3's MPI driver finds, and who gets the real packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wildsage
from wildsage.services.sagemaker.training import drivers

STAND_INS = Path(wildsage.__file__).parent / "toolkit" / "drivers" / "python"


def python(*words: str, installed: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(each) for each in (STAND_INS, installed) if each)
    return subprocess.run(
        [sys.executable, "-S", "-s", *words],
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with packages by the names of the stand-ins."""
    folder = tmp_path / "packages"
    (folder / "mpi4py").mkdir(parents=True)
    (folder / "paramiko.py").write_text("REAL = True\n")
    (folder / "mpi4py" / "__init__.py").write_text("REAL = True\n")
    (folder / "mpi4py" / "__main__.py").write_text("import sys; print('real', sys.argv[1:])\n")
    return folder


def test_only_the_driver_gets_the_stand_in_for_paramiko(tmp_path: Path, installed: Path) -> None:
    text = "import paramiko\nprint(hasattr(paramiko.client, 'MissingHostKeyPolicy'), hasattr(paramiko, 'SSHClient'))\n"
    (tmp_path / "mpi_driver.py").write_text(text)
    assert python(str(tmp_path / "mpi_driver.py"), installed=installed).stdout == "True True\n"
    (tmp_path / "train.py").write_text("import paramiko\nprint(paramiko.REAL)\n")
    assert python(str(tmp_path / "train.py"), installed=installed).stdout == "True\n"
    assert "No module named 'paramiko'. Name it in requirements.txt." in python(str(tmp_path / "train.py")).stderr


def test_scripts_run_without_mpi4py(tmp_path: Path, installed: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    words = ("-m", "mpi4py", str(script), "--epochs", "3")
    assert python(*words).stdout == "__main__ ['--epochs', '3']\n"
    assert python(*words, installed=installed).stdout == f"real ['{script}', '--epochs', '3']\n"
    script.write_text("from mpi4py import MPI\n")
    failed = python(*words)
    assert failed.returncode != 0
    assert "name mpi4py in requirements.txt" in failed.stderr


def test_which_jobs_need_them(tmp_path: Path) -> None:
    assert not drivers.uses_mpi(tmp_path)
    (tmp_path / "sm_drivers").mkdir()
    script = tmp_path / "sm_drivers" / "sm_train.sh"
    script.write_text("$SM_PYTHON_CMD /opt/ml/input/data/sm_drivers/distributed_drivers/torchrun_driver.py\n")
    assert not drivers.uses_mpi(tmp_path)
    call = "$SM_PYTHON_CMD /opt/ml/input/data/sm_drivers/distributed_drivers/mpi_driver.py\n"
    script.write_text(call)
    assert drivers.uses_mpi(tmp_path)
    script.write_text("x" * (1 << 20) + call)
    assert not drivers.uses_mpi(tmp_path), "an object of any size is read whole"
    assert drivers.variables({"PATH": "/bin"}) == {
        "PATH": "/opt/wildsage/toolkit/drivers:/bin",
        "PYTHONPATH": "/opt/wildsage/toolkit/drivers/python",
    }

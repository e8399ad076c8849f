"""What the launchers are told; the launchers themselves run in tests/unit/services/sagemaker/test_distributions.py."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from wildsage.toolkit import distributed


def described(**parameters: Any) -> dict[str, Any]:
    return {
        "additional_framework_parameters": parameters,
        "distribution_hosts": ["algo-1", "algo-2"],
        "network_interface_name": "eth0",
        "num_gpus": 0,
    }


def test_mpirun_has_the_options_of_the_aws_toolkit() -> None:
    asked = {
        "sagemaker_mpi_num_of_processes_per_host": 2,
        "sagemaker_mpi_custom_mpi_options": "--NCCL_DEBUG WARN -x HELLO=1",
    }
    line = distributed.mpi_command(described(**asked), ["./run.sh"])
    text = " ".join(line)
    assert text.startswith("mpirun --host algo-1:2,algo-2:2 -np 4 --allow-run-as-root --display-map --tag-output -mca ")
    for part in (
        "-mca btl_tcp_if_include eth0",
        "-mca oob_tcp_if_include eth0",
        "-mca plm_rsh_no_tree_spawn 1",
        "-bind-to none -map-by slot",
        "-mca pml ob1",
        "-mca btl ^openib",
        "-mca orte_abort_on_non_zero_status 1",
        "-x NCCL_SOCKET_IFNAME=eth0",
        "-x NCCL_DEBUG=WARN",
        "-x LD_LIBRARY_PATH -x PATH",
    ):
        assert part in text
    assert text.endswith(" -x HELLO=1 ./run.sh")
    assert "--NCCL_DEBUG" not in line


def test_one_process_on_each_host_unless_asked_otherwise() -> None:
    assert "--host algo-1,algo-2 -np 2 " in " ".join(distributed.mpi_command(described(), ["./run.sh"]))
    assert distributed.processes_per_host({**described(), "num_gpus": 4}) == 4


def test_a_package_cannot_be_given_to_torchrun() -> None:
    with pytest.raises(SystemExit, match="needs a Python script as the entry point"):
        distributed.torch_distributed(described(), [sys.executable, "-m", "package"])


@pytest.mark.parametrize(("host", "task"), [("a", ("master", 0)), ("b", ("worker", 0)), ("c", ("worker", 1))])
def test_tf_config(host: str, task: tuple[str, int]) -> None:
    config = distributed.tf_config(["a", "b", "c"], host)
    assert (config["task"]["type"], config["task"]["index"]) == task
    assert config["environment"] == "cloud"

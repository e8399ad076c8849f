"""What the SDK's ``distribution=`` asks for, on the real sandbox: torchrun, MPI, parameter servers."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.services.sagemaker.conftest import Server, Training, archive
from tests.unit.services.sagemaker.test_several_instances import of, printed

PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3-cpu-py311"

ALL_REDUCE = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
mine = torch.tensor([float(rank + 1)])
dist.all_reduce(mine)
print(f"rank {rank} of {size} on {os.environ['SM_CURRENT_HOST']}: {mine.item():.0f}", flush=True)
dist.destroy_process_group()
"""


async def create(server: Server, training: Training, name: str, script: str, count: int, **asked: Any) -> None:
    source = await server.put(f"{name}/source.tar.gz", archive({"train.py": script}))
    values = {"sagemaker_submit_directory": source, "sagemaker_program": "train.py", **asked}
    hyperparameters = {key: json.dumps(value) for key, value in values.items()}
    await training.create(name, script, HyperParameters=hyperparameters, ResourceConfig=of(count))


async def test_ranks_of_torchrun_all_reduce(server: Server, training: Training) -> None:
    algorithm = {"TrainingImage": PYTORCH, "TrainingInputMode": "File"}
    source = await server.put("torch/source.tar.gz", archive({"train.py": ALL_REDUCE}))
    hyperparameters = {
        "sagemaker_submit_directory": json.dumps(source),
        "sagemaker_program": '"train.py"',
        "sagemaker_torch_distributed_enabled": "true",
    }
    await training.create(
        "torch", "", AlgorithmSpecification=algorithm, HyperParameters=hyperparameters, ResourceConfig=of(2)
    )
    job = await training.end("torch")
    assert job.get("FailureReason") is None
    assert "rank 0 of 2 on algo-1: 3" in await printed(server, "torch", "algo-1")
    assert "rank 1 of 2 on algo-2: 3" in await printed(server, "torch", "algo-2")


RANKS = """
import os, sys
rank, size = (os.environ[f"OMPI_COMM_WORLD_{name}"] for name in ("RANK", "SIZE"))
print(f"rank {rank} of {size} on {os.environ['SM_CURRENT_HOST']}", flush=True)
sys.exit(int(sys.argv[sys.argv.index("--status") + 1]) if rank == "1" else 0)
"""


async def test_ranks_of_mpi(server: Server, training: Training) -> None:
    mpi = {"sagemaker_mpi_enabled": True, "sagemaker_mpi_num_of_processes_per_host": 2}
    await create(server, training, "mpi", RANKS, 3, **mpi, status=0)
    job = await training.end("mpi")
    assert job.get("FailureReason") is None
    log = "\n".join(await printed(server, "mpi", "algo-1"))
    for rank, host in enumerate(("algo-1", "algo-1", "algo-2", "algo-2", "algo-3", "algo-3")):
        assert f"rank {rank} of 6 on {host}" in log


async def test_a_rank_of_mpi_that_fails_fails_the_job(server: Server, training: Training) -> None:
    await create(server, training, "bad", RANKS, 2, sagemaker_mpi_enabled=True, status=9)
    job = await training.end("bad")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].endswith("exit code: 9")


async def test_parameter_servers_are_named_to_every_host(server: Server, training: Training) -> None:
    script = "import os; print(os.environ['TF_CONFIG'])"
    await create(server, training, "ps", script, 3, sagemaker_parameter_server_enabled=True)
    job = await training.end("ps")
    assert job.get("FailureReason") is None
    tasks = []
    for host in ("algo-1", "algo-2", "algo-3"):
        log = await printed(server, "ps", host)
        config = next(json.loads(line) for line in log if line.startswith('{"cluster"'))
        assert config["cluster"] == {
            "master": ["algo-1:2222"],
            "ps": ["algo-1:2223", "algo-2:2223", "algo-3:2223"],
            "worker": ["algo-2:2222", "algo-3:2222"],
        }
        tasks.append((config["task"]["type"], config["task"]["index"]))
    assert tasks == [("master", 0), ("worker", 0), ("worker", 1)]


async def test_what_needs_libraries_of_aws_is_refused(server: Server, training: Training) -> None:
    asked = {"sagemaker_distributed_dataparallel_enabled": True}
    await create(server, training, "smddp", "print('never')", 1, **asked)
    job = await training.end("smddp")
    assert "smdistributed and PyTorch XLA need" in job["FailureReason"]

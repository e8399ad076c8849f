"""``distributed.py COMMAND …``: starts a training script on one host of several, as the SDK's ``distribution=`` asks.

A program of its own, which ``train.py`` runs in place of the script where a job asks for it. What each way does, its
ports and its command lines are those of aws/sagemaker-training-toolkit and aws/sagemaker-tensorflow-training-toolkit.
It learns what it must know from SM_TRAINING_ENV. MPI reaches other hosts by ``remote.py``, where AWS has ssh.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

Values = dict[str, Any]

_TORCH_PORT = "7777"
_MASTER_PORT, _SERVER_PORT, _MIRRORED_PORT = 2222, 2223, 8890
_REMOTE = f"{os.path.dirname(os.path.abspath(__file__))}/remote.py"
_SERVER = (
    "import json, sys, tensorflow as tf\n"
    "cluster = tf.train.ClusterSpec(json.loads(sys.argv[1]))\n"
    "config = tf.compat.v1.ConfigProto(device_count={'GPU': 0})\n"
    "tf.distribute.Server(cluster, job_name='ps', task_index=int(sys.argv[2]), config=config).join()\n"
)


def say(text: str) -> None:
    """A line of the log."""
    print(text, file=sys.stderr, flush=True)


def processes_per_host(description: Values) -> int:
    """What the job says, else one for each GPU, else one."""
    asked = description["additional_framework_parameters"].get("sagemaker_mpi_num_of_processes_per_host")
    return int(asked or description["num_gpus"] or 1)


def become(command: list[str]) -> None:
    """Never returns: this process, which signals are sent to, is the command from here on."""
    say(f"Invoking script with the following command:\n\n{' '.join(command)}\n")
    os.execvp(command[0], command)


def torch_distributed(description: Values, command: list[str]) -> None:
    """torchrun, one on each host."""
    if command[0] != sys.executable or command[1] == "-m":
        sys.exit("Error: torch_distributed needs a Python script as the entry point, not a package or a shell script.")
    if importlib.util.find_spec("torch") is None:
        sys.exit("Error: torch_distributed needs PyTorch, which this image has not.")
    hosts = description["distribution_hosts"]
    os.environ["NCCL_SOCKET_IFNAME"] = description["network_interface_name"]
    os.environ["NCCL_PROTO"] = "simple"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(len(hosts))]
    launcher += ["--nproc_per_node", str(processes_per_host(description))]
    if len(hosts) > 1:
        launcher += ["--master_addr", description["master_hostname"], "--master_port", _TORCH_PORT]
        launcher += ["--node_rank", str(hosts.index(description["current_host"]))]
    become([*launcher, *command[1:]])


def mpi(description: Values, command: list[str]) -> None:
    """mpirun on the first host; the others start what it asks them to, until it has ended."""
    master, hosts = description["master_hostname"], description["distribution_hosts"]
    if description["current_host"] != master:
        say("Starting MPI run as worker node.")
        become([sys.executable, _REMOTE, "serve", master])
    if shutil.which("mpirun") is None:
        sys.exit("Error: mpirun is not on this machine. Install Open MPI (Debian: apt-get install openmpi-bin).")
    workers = [host for host in hosts if host != master]
    become([sys.executable, _REMOTE, "lead", *workers, "--", *mpi_command(description, command)])


def mpi_command(description: Values, command: list[str]) -> list[str]:
    """The line of AWS's toolkit, with an agent of ours in place of ssh."""
    hosts, count = description["distribution_hosts"], processes_per_host(description)
    extra, interface = description["additional_framework_parameters"], description["network_interface_name"]
    places = hosts if count == 1 else [f"{host}:{count}" for host in hosts]
    options = str(extra.get("sagemaker_mpi_custom_mpi_options") or "").split()
    debug = "INFO"
    if "--NCCL_DEBUG" in options:
        at = options.index("--NCCL_DEBUG")
        debug = options[at + 1]
        del options[at : at + 2]
    line = [
        "mpirun",
        "--host",
        ",".join(places),
        "-np",
        str(extra.get("sagemaker_mpi_num_processes") or count * len(hosts)),
    ]
    line += ["--allow-run-as-root", "--display-map", "--tag-output"]
    settings = {
        "btl_tcp_if_include": interface,
        "oob_tcp_if_include": interface,
        "plm_rsh_no_tree_spawn": "1",
        "plm_rsh_agent": f"{sys.executable} {_REMOTE} ask",
        "pml": "ob1",
        "btl": "^openib",
        "orte_abort_on_non_zero_status": "1",
        "btl_vader_single_copy_mechanism": "none",
    }
    for name, value in settings.items():
        line += ["-mca", name, value]
    line += ["-bind-to", "none", "-map-by", "slot"]
    line += ["-x", "NCCL_MIN_NRINGS=4", "-x", f"NCCL_SOCKET_IFNAME={interface}", "-x", f"NCCL_DEBUG={debug}"]
    line += ["-x", "LD_LIBRARY_PATH", "-x", "PATH"]  # all else they have from the container they are in
    if command[0] == sys.executable and importlib.util.find_spec("mpi4py") is not None:
        # An exception that nobody catches then ends all processes, which would otherwise wait for the one that is gone.
        command = [command[0], "-m", "mpi4py", *command[1:]]
    return [*line, *options, *command]


def _addresses(hosts: list[str], port: int) -> list[str]:
    return [f"{host}:{port}" for host in hosts]


def tf_config(hosts: list[str], current: str) -> Values:
    """TF_CONFIG of a worker beside parameter servers; the first host is the master."""
    cluster = {"master": _addresses(hosts[:1], _MASTER_PORT)}
    if len(hosts) > 1:
        cluster["ps"] = _addresses(hosts, _SERVER_PORT)
        cluster["worker"] = _addresses(hosts[1:], _MASTER_PORT)
    first = current == hosts[0]
    task = {"index": 0 if first else hosts.index(current) - 1, "type": "master" if first else "worker"}
    return {"cluster": cluster, "environment": "cloud", "task": task}


def parameter_server(description: Values, command: list[str]) -> None:
    """The script as a worker, and TensorFlow's parameter server beside it on every host."""
    hosts, current = description["distribution_hosts"], description["current_host"]
    if len(hosts) == 1:
        become(command)
    config = tf_config(hosts, current)
    os.environ["TF_CONFIG"] = json.dumps(config)
    if importlib.util.find_spec("tensorflow") is None:
        say("No TensorFlow in this image: TF_CONFIG is set, and no parameter server is started.")
        become(command)
    index = str(hosts.index(current))
    server = subprocess.Popen([sys.executable, "-c", _SERVER, json.dumps(config["cluster"]), index])
    worker = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: worker.send_signal(signal.SIGTERM))
    status = worker.wait()
    while not status and current != hosts[0] and server.poll() is None and _answers(hosts[0]):
        time.sleep(1)
    server.kill()
    sys.exit(status if status >= 0 else 128 - status)


def _answers(master: str) -> bool:
    """Whether the master still trains, and so may need the parameters here."""
    command = [sys.executable, _REMOTE, "knock", master, str(_MASTER_PORT)]
    return subprocess.run(command, check=False).returncode == 0


def mirrored(description: Values, command: list[str]) -> None:
    """TensorFlow's MultiWorkerMirroredStrategy, which starts nothing itself."""
    hosts = description["distribution_hosts"]
    task = {"index": hosts.index(description["current_host"]), "type": "worker"}
    cluster = {"worker": _addresses(hosts, _MIRRORED_PORT)}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "environment": "cloud", "task": task})
    become(command)


def refused(description: Values, command: list[str]) -> None:
    """AWS's own libraries are in AWS's images alone."""
    sys.exit(
        "Error: smdistributed and PyTorch XLA need AWS's GPUs or Trainium, and libraries of AWS's that are not here. "
        'Use distribution={"torch_distributed": {"enabled": True}}, or MPI.'
    )


WAYS: dict[str, Callable[[Values, list[str]], None]] = {
    "sagemaker_mpi_enabled": mpi,
    "sagemaker_torch_distributed_enabled": torch_distributed,
    "sagemaker_parameter_server_enabled": parameter_server,
    "sagemaker_multi_worker_mirrored_strategy_enabled": mirrored,
    "sagemaker_distributed_dataparallel_enabled": refused,
    "sagemaker_pytorch_ddp_enabled": refused,
    "sagemaker_pytorch_xla_multi_worker_enabled": refused,
}


def main() -> None:
    """Entry: see the module's text."""
    description = json.loads(os.environ["SM_TRAINING_ENV"])
    for name, way in WAYS.items():
        if description["additional_framework_parameters"].get(name):
            way(description, sys.argv[1:])
            return
    become(sys.argv[1:])


if __name__ == "__main__":
    main()

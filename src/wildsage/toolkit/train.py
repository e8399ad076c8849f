"""Runs a training script as AWS's framework images do (script mode of sagemaker-training).

Run by its path under the user's interpreter, with the standard library alone; one file, because it is read and
compiled anew in every container. The contract is that of aws/sagemaker-training-toolkit: the files under /opt/ml, the
SM_* variables, the command line, the failure file, the words in the log.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import sys
import sysconfig
import time
from typing import Any

Values = dict[str, Any]

_BASE = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
_CODE = f"{_BASE}/code"
_INPUT = f"{_BASE}/input"
_OUTPUT = f"{_BASE}/output"

# Hyperparameters of this prefix are for the toolkit; these of them have a meaning of their own here.
_PREFIX = "sagemaker_"
_OWN = (  # noqa: SIM905
    "sagemaker_program sagemaker_submit_directory sagemaker_enable_cloudwatch_metrics sagemaker_region "
    "sagemaker_container_log_level sagemaker_job_name default_user_module_name _tuning_objective_metric "
    "sagemaker_s3_output"
).split()
_DISTRIBUTIONS = (  # noqa: SIM905
    "sagemaker_mpi_enabled sagemaker_parameter_server_enabled sagemaker_distributed_dataparallel_enabled "
    "sagemaker_pytorch_ddp_enabled sagemaker_pytorch_xla_multi_worker_enabled "
    "sagemaker_multi_worker_mirrored_strategy_enabled sagemaker_torch_distributed_enabled"
).split()
_MESSAGE_LIMIT = 1 << 16  # bytes of an error message; AWS keeps 1024 characters of the failure file
_ERROR_WORDS = ("Error", "Exception", "ERROR")
_LEVELS = {"INFO": 20, "WARNING": 30, "ERROR": 40}
_KILLED = 128 + signal.SIGKILL
_LONGEST_VARIABLE = 1 << 17  # bytes with its name and its end; Linux passes none that is longer on to a program


class ScriptFailure(Exception):
    """User work that failed. ``str`` of it is the failure file, in AWS's words; ``status`` the exit status."""

    def __init__(self, kind: str, status: int, message: str, command: str) -> None:
        extra = '\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' if status == _KILLED else ""
        super().__init__(f'{kind}:\nExitCode {status}\nErrorMessage "{message}"{extra}\nCommand "{command}"')
        self.status = status


class _Log:
    """Lines as the toolkit of AWS's images writes them, from the level sagemaker_container_log_level on."""

    level = 20

    def __call__(self, message: str, level: str = "INFO") -> None:
        if _LEVELS[level] < self.level:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        sys.stderr.write(f"{stamp},{int(now * 1000) % 1000:03d} sagemaker-training-toolkit {level:<8} {message}\n")
        sys.stderr.flush()


log = _Log()


def read_config(name: str) -> Values:
    """/opt/ml/input/config/``name``.json; absent is empty."""
    try:
        with open(f"{_INPUT}/config/{name}.json", encoding="utf-8") as file:
            values: Values = json.load(file)
            return values
    except FileNotFoundError:
        return {}


def decode_hyperparameters(raw: Values) -> Values:
    """The SDK sends each value as JSON; what is not JSON is a string already."""
    decoded: Values = {}
    for name, value in raw.items():
        try:
            decoded[name] = json.loads(value)
        except (ValueError, TypeError):
            decoded[name] = value
    return decoded


def count_gpus() -> int:
    """GPUs that this container can see."""
    return sum(1 for name in os.listdir("/dev") if name.startswith("nvidia") and name[6:].isdigit())


def describe(raw_hyperparameters: Values, resources: Values, inputs: Values, environ: dict[str, str]) -> Values:
    """SM_TRAINING_ENV: all that a script may want to know of its job, by the names that AWS gives it.

    SM_NUM_CPUS in ``environ`` is the instance type's number of vCPUs, which may be fewer than the machine has.
    """
    given = decode_hyperparameters(raw_hyperparameters)
    own = {name: value for name, value in given.items() if name in _OWN or name.startswith(_PREFIX)}
    extra = {name: value for name, value in own.items() if name not in _OWN}
    program = environ.get("SAGEMAKER_PROGRAM") or own.get("sagemaker_program")
    group = resources.get("current_group_name", "homogeneousCluster")
    groups: list[Values] = resources.get("instance_groups", [])
    hosts: list[str] = resources.get("hosts", ["algo-1"])
    current_host: str = resources.get("current_host", hosts[0])
    distributed = extra.get(
        "sagemaker_distribution_instance_groups", [group] if any(extra.get(name) for name in _DISTRIBUTIONS) else []
    )
    distribution_hosts = [
        host for each in groups if each["instance_group_name"] in distributed for host in each["hosts"]
    ] or ([] if groups else list(hosts))
    master = (distribution_hosts or hosts)[0]
    return {
        "additional_framework_parameters": extra,
        "channel_input_dirs": {channel: f"{_INPUT}/data/{channel}" for channel in inputs},
        "current_host": current_host,
        "current_instance_group": group,
        "current_instance_group_hosts": next(
            (each["hosts"] for each in groups if each["instance_group_name"] == group), []
        ),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_hosts": distribution_hosts,
        "distribution_instance_groups": distributed,
        "framework_module": environ.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": hosts,
        "hyperparameters": {name: value for name, value in given.items() if name not in own},
        "input_config_dir": f"{_INPUT}/config",
        "input_data_config": inputs,
        "input_dir": _INPUT,
        "instance_groups": [each["instance_group_name"] for each in groups],
        "instance_groups_dict": {each["instance_group_name"]: each for each in groups},
        "is_hetero": len(groups) > 1,
        "is_master": current_host == master,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": environ.get("TRAINING_JOB_NAME"),
        "log_level": own.get("sagemaker_container_log_level", 20),
        "master_hostname": master,
        "model_dir": f"{_BASE}/model",
        "module_dir": str(own.get("sagemaker_submit_directory") or environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or _CODE),
        "module_name": str(program).removesuffix(".py"),
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": int(environ.get("SM_NUM_CPUS") or len(os.sched_getaffinity(0))),
        "num_gpus": count_gpus(),
        "num_neurons": 0,
        "output_data_dir": f"{_OUTPUT}/data",
        "output_dir": _OUTPUT,
        "output_intermediate_dir": f"{_OUTPUT}/intermediate",
        "resource_config": resources,
        "topology": resources.get("topology", []),
        "user_entry_point": program,
    }


# Variables whose value is that of the same name in SM_TRAINING_ENV.
_SAME = (  # noqa: SIM905
    "hosts network_interface_name user_entry_point resource_config input_data_config output_data_dir current_host "
    "current_instance_type current_instance_group current_instance_group_hosts instance_groups instance_groups_dict "
    "distribution_instance_groups is_hetero module_name log_level framework_module input_dir input_config_dir "
    "output_dir num_cpus num_gpus num_neurons model_dir module_dir output_intermediate_dir"
).split()


def variables(description: Values) -> dict[str, str]:
    """The SM_* variables of a job that ``describe`` described."""
    values = {
        **{name: description[name] for name in _SAME},
        "hps": description["hyperparameters"],
        "framework_params": description["additional_framework_parameters"],
        "channels": sorted(description["channel_input_dirs"]),
        "training_env": description,
        "user_args": arguments(description["hyperparameters"]),
    }
    if description["topology"]:
        values["topology"] = description["topology"]
    for name, path in description["channel_input_dirs"].items():
        values[f"channel_{name}"] = path
    for name, value in description["hyperparameters"].items():
        values[f"hp_{name}"] = value
    return {f"SM_{name.upper()}": _variable(value) for name, value in values.items()}


def fitting(values: dict[str, str], description: Values) -> dict[str, str]:
    """Without what is too long; AWS's toolkit tries all the same, and its job fails (Argument list too long)."""
    fit = {name: value for name, value in values.items() if len(f"{name}={value}".encode()) < _LONGEST_VARIABLE}
    if left_out := sorted(values.keys() - fit.keys()):
        log(f"Too long for variables: {', '.join(left_out)}. See {_INPUT}/config/hyperparameters.json.", "WARNING")
        fit["SM_TRAINING_ENV"] = _variable({**description, "hyperparameters": {}})
    return fit


def _variable(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def arguments(hyperparameters: Values) -> list[str]:
    """The command line of a script: ``--name value``, in the order of the names."""
    line = []
    for name in sorted(hyperparameters):
        value = hyperparameters[name]
        if isinstance(value, dict):
            value = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        line += [f"--{name}" if len(name) > 1 else f"-{name}", "" if value is None else str(value)]
    return line


def fetch_code(module_dir: str, environ: dict[str, str]) -> None:
    """Puts the script into /opt/ml/code from a local folder or archive; an s3:// address was put there before."""
    os.makedirs(_CODE, exist_ok=True)
    source = f"{_CODE}/sourcedir.tar.gz" if "://" in module_dir else module_dir
    if os.path.exists(source) and os.path.realpath(source) != os.path.realpath(_CODE):
        run([sys.executable, f"{os.path.dirname(__file__)}/unpack.py", source, _CODE], environ)


def command_of(program: str, line: list[str]) -> list[str]:
    """What runs the entry point: a shell for a .sh, ``python -m`` for a package with setup.py, else python."""
    if program.endswith(".sh") or not (program.endswith(".py") or os.path.exists(f"{_CODE}/setup.py")):
        os.chmod(f"{_CODE}/{program}", 0o777)
        return ["/bin/sh", "-c", " ".join([f"./{program}", *map(shlex.quote, line)])]
    if os.path.exists(f"{_CODE}/setup.py"):
        return [sys.executable, "-m", program.removesuffix(".py").replace("/", "."), *line]
    return [sys.executable, program, *line]


def launched(description: Values, command: list[str], environ: dict[str, str]) -> list[str]:
    """What starts ``command`` here: a launcher, where the job asks for one and this host takes part."""
    if str(description["framework_module"]).startswith("sagemaker_pytorch"):
        environ.update(MASTER_ADDR=description["master_hostname"], MASTER_PORT="7777")
    if description["current_instance_group"] not in description["distribution_instance_groups"]:
        return command
    return [sys.executable, f"{os.path.dirname(os.path.abspath(__file__))}/distributed.py", *command]


def install(environ: dict[str, str]) -> None:
    """Installs setup.py's package and requirements.txt into this container's layer over the environment."""
    wanted = ["."] if os.path.exists(f"{_CODE}/setup.py") else []
    if os.path.exists(f"{_CODE}/requirements.txt"):
        wanted += ["-r", "requirements.txt"]
    if not wanted:
        return
    command = [sys.executable, "-m", "pip", "install", *wanted]
    if not os.access(sysconfig.get_path("purelib"), os.W_OK):
        prefix = f"{_BASE}/packages"
        command += ["--prefix", prefix]
        places = sysconfig.get_path("purelib", vars={"base": prefix}), environ.get("PYTHONPATH", "")
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
        environ["PATH"] = f"{prefix}/bin:{environ.get('PATH', os.defpath)}"
        log(f"The environment cannot be written to: packages go to {prefix}.")
    log("Installing module." if "." in wanted else "Installing dependencies from requirements.txt")
    kind = "InstallModuleError" if "." in wanted else "InstallRequirementsError"
    try:
        run(command, environ, kind)
    except ScriptFailure:
        log(
            "pip could not install the packages. Without internet access, set PIP_INDEX_URL or PIP_FIND_LINKS in the "
            "job's Environment to a mirror, or install them into the environment this job runs in.",
            "ERROR",
        )
        raise


class _Errors:
    """The part of what a process writes to stderr that says what went wrong: AWS takes it from the first error on."""

    def __init__(self) -> None:
        self._begun = False
        self._rest = b""
        self._lines: dict[str, None] = {}
        self._size = 0

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_MESSAGE_LIMIT:]
        for line in lines:
            self._take(line.decode("utf-8", "replace").strip(" :\r"))

    def _take(self, line: str) -> None:
        self._begun = self._begun or any(word in line for word in _ERROR_WORDS)
        if self._begun and line and self._size < _MESSAGE_LIMIT:
            self._lines[line] = None
            self._size += len(line)

    def message(self) -> str:
        self.feed(b"\n")
        return "\n".join(self._lines)


def run(command: list[str], environ: dict[str, str], kind: str = "ExecuteUserScriptError") -> None:
    """Runs ``command`` in /opt/ml/code to its end, passing SIGTERM on; raises ScriptFailure if it fails."""
    out, into = os.pipe()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    sys.stderr.flush()
    os.chdir(_CODE)
    try:
        streams, default = [(os.POSIX_SPAWN_DUP2, into, 2)], [signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ]
        child = os.posix_spawnp(command[0], command, environ, file_actions=streams, setsigdef=default)
    except OSError as error:
        raise ScriptFailure(kind, 127, str(error), " ".join(command)) from error
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    os.close(into)
    errors = _Errors()
    status = _attend(child, out, wake, errors)
    for descriptor in (out, wake, woken):
        os.close(descriptor)
    if status:
        raise ScriptFailure(kind, status, errors.message(), " ".join(command))


def _attend(child: int, out: int, wake: int, errors: _Errors) -> int:
    """Copies the child's stderr to ours until it has ended; its exit status, 128+n for signal n."""
    poll = select.poll()
    poll.register(out, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if out in ready:
            data = os.read(out, 1 << 16)
            if data:
                _write(data)
                errors.feed(data)
            else:
                poll.unregister(out)
        elif wake in ready:
            # Only once all was read: a grandchild may hold the pipe open for longer than the script runs.
            os.read(wake, 1 << 10)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(2, data) :]


def train() -> None:
    """The whole of a job; raises ScriptFailure."""
    environ = dict(os.environ)
    given, resources, inputs = map(read_config, ("hyperparameters", "resourceconfig", "inputdataconfig"))
    description = describe(given, resources, inputs, environ)
    log.level = int(description["log_level"])
    program = description["user_entry_point"]
    if not program and environ.get("WILDSAGE_ALGORITHM"):
        algorithms = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "algorithms")
        os.execv(sys.executable, [sys.executable, f"{algorithms}/train.py"])
    if not program:
        words = "No entry point: set the hyperparameter sagemaker_program or the variable SAGEMAKER_PROGRAM to one."
        raise ScriptFailure("ExecuteUserScriptError", 1, words, "train")
    for folder in (description["model_dir"], description["output_data_dir"]):
        os.makedirs(folder, exist_ok=True)
    fetch_code(description["module_dir"], environ)
    if not os.path.exists(f"{_CODE}/{program}") and not os.path.exists(f"{_CODE}/setup.py"):
        raise ScriptFailure("ExecuteUserScriptError", 2, f"{program} is not in the source directory.", "train")
    environ.setdefault("PYTHONUNBUFFERED", "1")
    environ["CURRENT_HOST"] = description["current_host"]
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_CODE, environ.get("PYTHONPATH"))))
    install(environ)
    values = fitting(variables(description), description)
    environ.update(values)
    command = command_of(program, arguments(description["hyperparameters"]))
    shown = "\n".join(f"{name}={value}" for name, value in values.items())
    log(
        f"Invoking user script\n\nTraining Env:\n\n{json.dumps(description, indent=4)}\n\nEnvironment variables:\n\n"
        f"{shown}\n\nInvoking script with the following command:\n\n{' '.join(command)}\n\n"
    )
    run(launched(description, command, environ), environ)


def main() -> None:
    """Entry of the container; exits with the script's status."""
    try:
        train()
    except ScriptFailure as failure:
        os.makedirs(_OUTPUT, exist_ok=True)
        if not os.path.exists(f"{_OUTPUT}/failure"):
            with open(f"{_OUTPUT}/failure", "w", encoding="utf-8") as file:
                file.write(str(failure))
        log("Reporting training FAILURE", "ERROR")
        log(str(failure), "ERROR")
        sys.exit(failure.status)
    log("Reporting training SUCCESS")
    with open(f"{_OUTPUT}/success", "w", encoding="utf-8"):
        pass


if __name__ == "__main__":
    main()

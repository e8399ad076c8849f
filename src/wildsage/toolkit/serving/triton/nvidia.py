"""NVIDIA's own tritonserver behind the container's socket, where nvidia-pytriton is installed.

It listens on the machine's loopback alone, so that nobody comes past Wildsage, and ``proxy`` passes requests on.
PyTriton's build has the Python backend and no other: models of ONNX get the toolkit's ``onnxbackend.py`` as model.py.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping

from .. import supervisor
from . import config as configuration
from . import start, text
from .proxy import ProxyLoop
from .session import Session, model_file

_STOP_SECONDS = 30.0
_BACKEND = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "onnxbackend.py")
_FIELDS = ("platform", "backend", "default_model_filename", "runtime")
_PASSED_ON = {
    "SAGEMAKER_TRITON_ALLOW_GRPC": "--allow-grpc=",
    "SAGEMAKER_TRITON_ALLOW_METRICS": "--allow-metrics=",
    "SAGEMAKER_TRITON_GRPC_PORT": "--grpc-port=",
    "SAGEMAKER_TRITON_METRICS_PORT": "--metrics-port=",
    "SAGEMAKER_TRITON_THREAD_COUNT": "--http-thread-count=",
    "SAGEMAKER_TRITON_BUFFER_MANAGER_THREAD_COUNT": "--buffer-manager-thread-count=",
    "SAGEMAKER_TRITON_LOG_VERBOSE": "--log-verbose=",
    "SAGEMAKER_TRITON_LOG_INFO": "--log-info=",
    "SAGEMAKER_TRITON_LOG_WARNING": "--log-warning=",
    "SAGEMAKER_TRITON_LOG_ERROR": "--log-error=",
    "SAGEMAKER_TRITON_SHM_DEFAULT_BYTE_SIZE": "--backend-config=python,shm-default-byte-size=",
    "SAGEMAKER_TRITON_SHM_GROWTH_BYTE_SIZE": "--backend-config=python,shm-growth-byte-size=",
}
_DEFAULTS = {"SAGEMAKER_TRITON_ALLOW_GRPC": "false", "SAGEMAKER_TRITON_ALLOW_METRICS": "false"}


def serve(listener: socket.socket, environ: Mapping[str, str], cpus: int) -> int:
    """Until SIGTERM, or until tritonserver has ended; the exit status. Raises Misplaced."""
    root = installed()
    for setting in ("SAGEMAKER_MULTI_MODEL", "WILDSAGE_SERVERLESS_IDLE_SECONDS"):
        if environ.get(setting, "").lower() not in ("", "false"):
            raise start.Misplaced(
                "tritonserver serves real-time endpoints of one model repository. For multi-model and serverless ones "
                "leave WILDSAGE_TRITON_ENGINE out."
            )
    folder = start.place(environ)
    default = start.default_model(folder, environ)
    with tempfile.TemporaryDirectory(prefix="triton-") as work:
        try:
            copied(folder, os.path.join(work, "models"), default, cpus)
        except configuration.ConfigError as error:
            raise start.Misplaced(f"failed to load the model: {error}") from None
        backends(root, os.path.join(work, "backends"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        process = subprocess.Popen(command(root, work, port, default, environ), env=variables(root, default, environ))
        supervisor.log(f"tritonserver of nvidia-pytriton serves {default!r}")
        loop = ProxyLoop(listener, os.pipe()[0], port, default, process.poll)
        loop.run()
        status = process.poll()
        if status is not None:
            supervisor.log(f"ERROR: tritonserver ended with status {status}")
            return status if status > 0 else 1
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return 0


def installed() -> str:
    """The folder of tritonserver; raises Misplaced with what to do."""
    spec = importlib.util.find_spec("pytriton")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        root = os.path.join(place, "tritonserver")
        if os.path.exists(os.path.join(root, "bin", "tritonserver")):
            return root
    raise start.Misplaced(
        f"WILDSAGE_TRITON_ENGINE is tritonserver, which is not in {sys.prefix}: install nvidia-pytriton and "
        "onnxruntime into a Python environment and let WILDSAGE_PYTHON_TRITON name its interpreter when wildsage "
        "starts; or leave WILDSAGE_TRITON_ENGINE out, and ONNX Runtime serves."
    )


def command(root: str, work: str, port: int, default: str, environ: Mapping[str, str]) -> list[str]:
    """As the image's ``serve`` puts it together."""
    settings = {**_DEFAULTS, **environ}
    return [
        os.path.join(root, "bin", "tritonserver"),
        f"--model-repository={work}/models",
        f"--backend-directory={work}/backends",
        "--allow-http=true",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        "--model-control-mode=explicit",
        f"--load-model={default}",
        *(f"{option}{settings[name]}" for name, option in _PASSED_ON.items() if settings.get(name)),
        *shlex.split(environ.get("SAGEMAKER_TRITON_ADDITIONAL_ARGS", "")),
    ]


def variables(root: str, default: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The libraries that the wheel brings are beside the package; instances are processes of this environment."""
    site = os.path.dirname(os.path.dirname(root))
    libraries = [os.path.join(site, "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR") or "")]
    python = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), environ.get("PYTHONPATH", "")]
    return {
        **environ,
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": default,
        "PATH": f"{os.path.dirname(sys.executable)}:{environ.get('PATH', '')}",
        "LD_LIBRARY_PATH": ":".join(filter(None, [*libraries, environ.get("LD_LIBRARY_PATH", "")])),
        "PYTHONPATH": ":".join(dict.fromkeys(filter(None, python))),
    }


def backends(root: str, folder: str) -> None:
    """The Python backend, and beside it the stub for this version of Python; raises Misplaced."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stub = os.path.join(root, "python_backend_stubs", version, "triton_python_backend_stub")
    if not os.path.exists(stub):
        there = sorted(os.listdir(os.path.join(root, "python_backend_stubs")))
        raise start.Misplaced(f"nvidia-pytriton is not for Python {version}, only for {', '.join(there)}")
    place = os.path.join(folder, "python")
    os.makedirs(place)
    _link(os.path.join(root, "backends", "python"), place, ())
    os.symlink(stub, os.path.join(place, "triton_python_backend_stub"))


def copied(folder: str, place: str, default: str, cpus: int) -> None:
    """A repository of links, in which models of ONNX are models of the Python backend.

    Raises ConfigError for the default model; another that cannot be read is left out, as it need not be loaded.
    """
    os.makedirs(place)
    for name in sorted(os.listdir(folder)):
        there = os.path.join(folder, name)
        if os.path.isdir(there):
            made = os.path.join(place, name)
            try:
                written = rewritten(there, name, _text(os.path.join(there, "config.pbtxt")), cpus)
            except configuration.ConfigError as error:
                if name == default:
                    raise
                supervisor.log(f"model {name!r} is left out: {error}")
                continue
            if written is None:
                os.symlink(there, made)
            else:
                _model(there, made, written)


def rewritten(folder: str, name: str, given: str, cpus: int) -> str | None:
    """The configuration for the Python backend; None for a model that is not ONNX Runtime's."""
    path = os.path.join(folder, "config.pbtxt")
    try:
        message = text.parse(given)
    except text.TextError as error:
        raise configuration.ConfigError(f"{path}:{error.line}: {error}") from None
    said = {field.name: field.value.text for field in message.fields if isinstance(field.value, text.Scalar)}
    file = said.get("default_model_filename") or "model.onnx"
    runs = said.get("backend") or {configuration.PLATFORM: configuration.BACKEND}.get(said.get("platform", ""), "")
    if not runs and not said.get("platform") and _newest(folder, file):
        runs = configuration.BACKEND
    if runs != configuration.BACKEND:
        return None
    kept = [field for field in message.fields if field.name not in _FIELDS]
    more = 'backend: "python"\n'
    more += f'parameters {{ key: "wildsage_onnx_file" value {{ string_value: {text.quoted(file)} }} }}\n'
    if not all(any(field.name == kind for field in kept) for kind in ("input", "output")):
        newest = os.path.join(folder, str(_newest(folder, file)))
        read = configuration.load(folder, name)
        session = Session(read, model_file(newest, read), cpus)
        kept = [field for field in kept if field.name not in ("input", "output", "max_batch_size")]
        more += _completed(session.config)
        if session.config.batching is not None and not any(field.name == "dynamic_batching" for field in kept):
            more += "dynamic_batching { }\n"
    return text.write(message._replace(fields=kept)) + more


def _completed(config: configuration.Config) -> str:
    lines = [f"max_batch_size: {config.max_batch_size or 0}"]
    for kind, tensors in (("input", config.inputs), ("output", config.outputs)):
        for each in tensors:
            reshape = "" if each.reshape is None else f" reshape {{ shape: {list(each.reshape)} }}"
            lines.append(
                f"{kind} {{ name: {text.quoted(each.name)} data_type: {configuration.protocol_name(each.datatype)} "
                f"dims: {list(each.dims)}{reshape} }}"
            )
    return "\n".join(lines) + "\n"


def _newest(folder: str, file: str) -> int:
    """The highest version that has ``file``; 0 without any."""
    numbers = [int(name) for name in os.listdir(folder) if name.isdigit()]
    return max((each for each in numbers if os.path.exists(os.path.join(folder, str(each), file))), default=0)


def _model(folder: str, place: str, config: str) -> None:
    os.makedirs(place)
    numbers = [name for name in os.listdir(folder) if name.isdigit()]
    _link(folder, place, ("config.pbtxt", *numbers))
    with open(os.path.join(place, "config.pbtxt"), "w", encoding="utf-8") as file:
        file.write(config)
    for number in numbers:
        version = os.path.join(place, number)
        os.makedirs(version)
        _link(os.path.join(folder, number), version, ("model.py",))
        os.symlink(_BACKEND, os.path.join(version, "model.py"))


def _link(folder: str, place: str, without: tuple[str, ...]) -> None:
    for name in os.listdir(folder):
        if name not in without:
            os.symlink(os.path.join(folder, name), os.path.join(place, name))


def _text(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

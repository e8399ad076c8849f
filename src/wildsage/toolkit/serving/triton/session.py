"""One version of an ONNX model on ONNX Runtime: opened, and checked against its configuration.

The checks and their words are those of triton-inference-server/onnxruntime_backend. Instances of a model share one
session, which any number of threads may run at once; each of them computes with its share of the CPUs.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from .config import BACKEND, PLATFORM, Batching, Config, ConfigError, Tensor, protocol_name
from .tensors import RUNTIME, Array

_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED"}
_NUMBERS = {
    "intra_op_thread_count": "intra_op_num_threads",
    "inter_op_thread_count": "inter_op_num_threads",
}
_SWITCHES = {"enable_mem_arena": "enable_cpu_mem_arena", "enable_mem_pattern": "enable_mem_pattern"}


class Known(NamedTuple):
    """An input or output of the ONNX model itself; -1 is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Session:
    """``config``: completed by what the model says of itself; ``notes``: what of the configuration has no effect."""

    def __init__(self, config: Config, path: str, cpus: int) -> None:
        """Raises ConfigError if the model cannot be opened or is not what ``config`` says."""
        self.path = path
        self.notes = list(config.notes)
        self._session = self._open(config, cpus)
        inputs = [_known(config, each) for each in self._session.get_inputs()]
        outputs = [_known(config, each) for each in self._session.get_outputs()]
        self.config = complete(config, inputs, outputs)
        check(self.config, inputs, outputs)

    def run(self, names: list[str], feeds: dict[str, Array]) -> list[Array]:
        """The outputs ``names``; raises what ONNX Runtime raises."""
        found: list[Array] = self._session.run(names, feeds)
        return found

    def _open(self, config: Config, cpus: int) -> Any:
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = max(1, cpus // config.instances)
        # Threads that spin while they have nothing to do take the CPUs from other instances and from the server.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        if config.graph in _LEVELS:
            options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, _LEVELS[config.graph])
        self._set(config, runtime, options)
        try:
            return runtime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # pybind's exceptions have no common class
            raise ConfigError(f"{self.path}: ONNX Runtime cannot load the model of {config.name!r}. {error}") from None

    def _set(self, config: Config, runtime: Any, options: Any) -> None:
        for key, value in config.parameters.items():
            try:
                if key in _NUMBERS:
                    if int(value) > 0:
                        setattr(options, _NUMBERS[key], int(value))
                elif key in _SWITCHES:
                    setattr(options, _SWITCHES[key], bool(int(value)))
                elif key == "execution_mode":
                    modes = (runtime.ExecutionMode.ORT_SEQUENTIAL, runtime.ExecutionMode.ORT_PARALLEL)
                    options.execution_mode = modes[int(value)]
                else:
                    self.notes.append(f"{config.path}: the parameter {key!r} is without effect.")
            except (ValueError, IndexError):
                raise ConfigError(f"{config.path}: the parameter {key!r} cannot be {value!r}") from None


def complete(config: Config, inputs: Sequence[Known], outputs: Sequence[Known]) -> Config:
    """What the file does not say, as Triton completes it (AutoCompleteConfig): inputs, outputs, batching."""
    if config.inputs and config.outputs:
        return config._replace(max_batch_size=config.max_batch_size or 0)
    batches = all(each.shape[:1] == (-1,) for each in (*inputs, *outputs))
    size = config.max_batch_size or 0
    if size and not batches:
        raise ConfigError(
            f"{config.path}: autofill failed for model '{config.name}': model does not support batching while "
            "non-zero max_batch_size is specified"
        )
    if batches and not size:
        size = _DEFAULT_BATCH
    batching = config.batching
    if batching is None and size > 1:
        batching = Batching((size,), 0.0)
    return config._replace(
        max_batch_size=size,
        batching=batching,
        inputs=config.inputs or tuple(_tensor(each, size) for each in inputs),
        outputs=config.outputs or tuple(_tensor(each, size) for each in outputs),
    )


# The ONNX Runtime backend's default-max-batch-size.
_DEFAULT_BATCH = 4


def _tensor(known: Known, size: int) -> Tensor:
    shape = known.shape[1:] if size else known.shape
    # Triton has no tensors without dimensions: such a one is called [1] outside.
    return Tensor(known.name, known.datatype, shape or (1,), None if shape else (), "", 0)


def check(config: Config, inputs: Sequence[Known], outputs: Sequence[Known]) -> None:
    """Raises ConfigError with the line of the tensor that the model has not, or has otherwise."""
    if len(config.inputs) != len(inputs):
        raise ConfigError(
            f"{config.path}: unable to load model '{config.name}', configuration expects {len(config.inputs)} inputs, "
            f"model provides {len(inputs)}: {_names(inputs)}"
        )
    for kind, wanted, found in (("input", config.inputs, inputs), ("output", config.outputs, outputs)):
        names = [each.name for each in wanted]
        for tensor in wanted:
            if names.count(tensor.name) > 1:
                raise config.error(tensor.line, f"model {kind} '{tensor.name}' is given more than once")
            known = next((each for each in found if each.name == tensor.name), None)
            if known is None:
                raise config.error(
                    tensor.line, f"unexpected inference {kind} '{tensor.name}', allowed {kind}s are: {_names(found)}"
                )
            _same(config, tensor, known, kind)


def _same(config: Config, tensor: Tensor, known: Known, kind: str) -> None:
    if tensor.datatype != known.datatype:
        raise config.error(
            tensor.line,
            f"unable to load model '{config.name}', unexpected datatype {protocol_name(tensor.datatype)} for inference "
            f"{kind} '{tensor.name}', expecting {protocol_name(known.datatype)}",
        )
    where = f"model '{config.name}', tensor '{tensor.name}'"
    shape = _show(known.shape)
    if config.max_batch_size and known.shape[:1] != (-1,):
        raise config.error(
            tensor.line,
            f"{where}: for the model to support batching the shape should have at least 1 dimension and the first "
            f"dimension must be -1; but shape expected by the model is {shape}",
        )
    full = (-1, *tensor.inside) if config.max_batch_size else tensor.inside
    fits = all(have in (-1, want) for have, want in zip(known.shape, full))  # noqa: B905 - Python 3.9
    if len(full) != len(known.shape) or not fits:
        note = (
            "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making "
            "complete shape "
            if config.max_batch_size
            else "shape "
        )
        raise config.error(
            tensor.line,
            f"{where}: the model expects {len(known.shape)} dimensions (shape {shape}) but the model configuration "
            f"specifies {len(full)} dimensions ({note}{_show(full)})",
        )


def described(config: Config) -> dict[str, Any]:
    """As the model configuration extension shows it."""
    policy = config.versions
    choices: dict[str, dict[str, Any]] = {
        "latest": {"num_versions": policy[-1]},
        "all": {},
        "specific": {"versions": list(policy[1:])},
    }
    shown: dict[str, Any] = {
        "name": config.name,
        "platform": PLATFORM,
        "backend": BACKEND,
        "version_policy": {policy[0]: choices[policy[0]]},
        "max_batch_size": config.max_batch_size or 0,
        "input": [_shown(each, False) for each in config.inputs],
        "output": [_shown(each, True) for each in config.outputs],
        "instance_group": [{"name": f"{config.name}_0", "kind": "KIND_CPU", "count": config.instances}],
        "default_model_filename": config.file,
        "parameters": {name: {"string_value": value} for name, value in config.parameters.items()},
    }
    if config.batching is not None:
        shown["dynamic_batching"] = {
            "preferred_batch_size": list(config.batching.preferred),
            "max_queue_delay_microseconds": round(config.batching.delay * 1e6),
            "preserve_ordering": False,
        }
    return shown


def _shown(tensor: Tensor, output: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": tensor.name,
        "data_type": protocol_name(tensor.datatype),
        "dims": list(tensor.dims),
    }
    if tensor.reshape is not None:
        shown["reshape"] = {"shape": list(tensor.reshape)}
    if output:
        shown["label_filename"] = tensor.labels
    return shown


def _known(config: Config, given: Any) -> Known:
    """Of ONNX Runtime's own description; a dimension with a name, or without one, is of any size."""
    if given.type not in RUNTIME:
        advice = " Convert the model with zipmap off (skl2onnx: options={'zipmap': False})."
        raise ConfigError(
            f"{config.path}: Unsupported ONNX Type '{given.type}' for I/O '{given.name}', expected a tensor of numbers "
            f"or strings.{advice if given.type.startswith('seq(map') else ''}"
        )
    shape = tuple(each if isinstance(each, int) and each >= 0 else -1 for each in given.shape)
    return Known(given.name, RUNTIME[given.type], shape)


def _names(tensors: Sequence[Known]) -> str:
    return ", ".join(each.name for each in tensors)


def _show(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def model_file(folder: str, config: Config) -> str:
    """The model in a version's folder; raises ConfigError."""
    path = os.path.join(folder, config.file)
    if not os.path.exists(path):
        raise ConfigError(f"{config.path}: unable to find '{path}' for model '{config.name}'")
    return path

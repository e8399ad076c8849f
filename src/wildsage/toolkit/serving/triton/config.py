"""A model's configuration: config.pbtxt as Triton understands it (docs/user_guide/model_configuration.md there).

Wrong ones are refused in Triton's words where it has some, always with the file and the line.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from . import schema, text

PLATFORM, BACKEND = "onnxruntime_onnx", "onnxruntime"
_FILE = "model.onnx"
_MOST_INSTANCES = 256  # each is the whole model, and a thread
# Triton's own default for ONNX Runtime on CPUs (core, SetDefaultInstanceCount).
_INSTANCES = 2
_ENGINE = "NVIDIA's tritonserver may: install nvidia-pytriton and set WILDSAGE_TRITON_ENGINE to tritonserver."


class ConfigError(Exception):
    """Its words name the file and the line."""


class Tensor(NamedTuple):
    """An input or output. ``datatype``: V2's name (FP32); ``dims`` without the batch; ``labels``: a file's name."""

    name: str
    datatype: str
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None
    labels: str
    line: int

    @property
    def inside(self) -> tuple[int, ...]:
        """The dimensions that the model itself has."""
        return self.dims if self.reshape is None else self.reshape


class Batching(NamedTuple):
    """``preferred``: numbers of rows that are run without waiting for more. ``delay``: seconds."""

    preferred: tuple[int, ...]
    delay: float


class Config(NamedTuple):
    """``path``: of config.pbtxt, for messages. ``versions``: ("latest", n), ("all",) or ("specific", …).

    ``inputs`` and ``outputs`` may be empty: they are then the ONNX model's own. ``max_batch_size`` is None where the
    file does not say.
    """

    path: str
    name: str
    max_batch_size: int | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    instances: int
    batching: Batching | None
    versions: tuple[Any, ...]
    file: str
    parameters: dict[str, str]
    graph: int
    notes: tuple[str, ...]

    def error(self, line: int, words: str) -> ConfigError:
        return ConfigError(f"{self.path}:{line}: {words}")


def load(folder: str, name: str) -> Config:
    """Of the model in ``folder``, which has to be called ``name``; without a config.pbtxt, what Triton completes."""
    path = os.path.join(folder, "config.pbtxt")
    if not os.path.isfile(path):
        return Config(path, name, None, (), (), _INSTANCES, None, ("latest", 1), _FILE, {}, 0, ())
    with open(path, encoding="utf-8", errors="replace") as file:
        return read(file.read(), path, name)


def read(given: str, path: str, name: str) -> Config:
    """Raises ConfigError. An empty ``name`` means that the file's own is the model's."""
    try:
        node = schema.read(text.parse(given))
        found = _Reader(node, path, name).whole()
    except (text.TextError, schema.SchemaError) as error:
        raise ConfigError(f"{path}:{error.line}: {error}") from None
    return found


class _Reader:
    def __init__(self, node: schema.Node, path: str, name: str) -> None:
        self._node = node
        self._path = path
        self._name = node.text("name") or name or "model"
        self._wanted = name
        self._notes = [
            f"{path}:{each.line}: {each.name!r} is without effect: there is no GPU to use it." for each in node.idle
        ]

    def whole(self) -> Config:
        node = self._node
        if self._wanted and self._name != self._wanted:
            raise schema.SchemaError(
                node.line_of("name"),
                f"unexpected directory name '{self._wanted}' for model '{self._name}', directory name must equal "
                "model name",
            )
        self._runnable()
        size = node.number("max_batch_size") if node.has("max_batch_size") else None
        if size is not None and size < 0:
            raise schema.SchemaError(
                node.line_of("max_batch_size"), f"'max_batch_size' must be non-negative value for {self._name}"
            )
        return Config(
            self._path,
            self._name,
            size,
            tuple(self._tensor(each, "input", size or 0) for each in node.nodes("input")),
            tuple(self._tensor(each, "output", size or 0) for each in node.nodes("output")),
            self._instances(),
            self._batching(size or 0),
            self._versions(),
            node.text("default_model_filename") or _FILE,
            self._parameters(),
            self._graph(),
            tuple(self._notes),
        )

    def _runnable(self) -> None:
        """Whether ONNX Runtime is what is asked for."""
        node = self._node
        for field, served in (("platform", PLATFORM), ("backend", BACKEND)):
            given = node.text(field)
            if given and given != served:
                raise schema.SchemaError(
                    node.line_of(field),
                    f"the {field} {given!r} of model {self._name!r} is not served here, only {served!r}. {_ENGINE}",
                )
        if node.text("runtime"):
            raise schema.SchemaError(node.line_of("runtime"), "a runtime of your own is not loaded here.")
        policy, cache = node.node("model_transaction_policy"), node.node("response_cache")
        if policy is not None and policy.number("decoupled"):
            raise schema.SchemaError(policy.line, f"decoupled models are not served here. {_ENGINE}")
        if cache is not None and cache.number("enable"):
            raise schema.SchemaError(cache.line, "answers are not kept here: leave response_cache out.")

    def _tensor(self, node: schema.Node, kind: str, size: int) -> Tensor:
        """ValidateIOShape of Triton's core."""
        name = node.text("name")
        words = f"model {kind} '{name}'"
        if not name:
            raise schema.SchemaError(node.line, f"model {kind} must specify 'name' for {self._name}")
        datatype = node.text("data_type")
        if not datatype or datatype == "TYPE_INVALID":
            raise schema.SchemaError(node.line, f"{words} must specify 'data_type' for {self._name}")
        if datatype == "TYPE_BF16":
            raise schema.SchemaError(node.line_of("data_type"), f"{words} is of TYPE_BF16, which is not served here")
        dims, line = node.numbers("dims"), node.line_of("dims")
        if not dims:
            raise schema.SchemaError(line, f"{words} must specify 'dims' for {self._name}")
        reshape = node.node("reshape")
        shape = None if reshape is None else reshape.numbers("shape")
        for each in (*dims, *(shape or ())):
            if each < 1 and each != -1:
                raise schema.SchemaError(
                    line,
                    f"{words} dimension must be integer >= 1, or -1 to indicate a variable-size dimension for "
                    f"{self._name}",
                )
        if reshape is not None and shape is not None:
            self._reshaped(words, dims, shape, reshape.line, size)
        for flag in ("is_shape_tensor", "allow_ragged_batch", "optional", "is_non_linear_format_io"):
            if node.number(flag):
                raise schema.SchemaError(node.line_of(flag), f"{flag!r} of the {words} is not served here")
        return Tensor(name, _V2[datatype], dims, shape, node.text("label_filename"), node.line)

    def _reshaped(self, words: str, dims: tuple[int, ...], shape: tuple[int, ...], line: int, size: int) -> None:
        if not shape and not size:
            raise schema.SchemaError(
                line, f"{words} cannot have empty reshape for non-batching model as scalar tensors are not supported"
            )
        if dims.count(-1) != shape.count(-1):
            raise schema.SchemaError(
                line, f"{words} has different number of variable-size dimensions for dims and reshape"
            )
        if elements(dims) != elements(shape):
            raise schema.SchemaError(line, f"{words} has different size for dims and reshape")

    def _instances(self) -> int:
        groups = self._node.nodes("instance_group")
        count = 0
        for number, group in enumerate(groups):
            name = group.text("name") or f"{self._name}_{number}"
            kind = group.text("kind")
            if kind == "KIND_GPU":
                raise schema.SchemaError(
                    group.line_of("kind"),
                    f"instance group {name} of model {self._name} has kind KIND_GPU but no GPUs are available: models "
                    "run on CPUs here. Use KIND_CPU, or KIND_AUTO, which takes what there is.",
                )
            if kind == "KIND_CPU" and group.has("gpus"):
                raise schema.SchemaError(
                    group.line_of("gpus"),
                    f"instance group {name} of model {self._name} has kind KIND_CPU but specifies one or more GPUs",
                )
            if kind == "KIND_MODEL":
                raise schema.SchemaError(group.line_of("kind"), "KIND_MODEL is not for ONNX models: use KIND_CPU")
            if group.number("passive"):
                raise schema.SchemaError(group.line_of("passive"), f"instance group {name} is passive: nothing runs it")
            given = group.number("count")
            if given < 0:
                raise schema.SchemaError(group.line_of("count"), f"instance group {name} has the count {given}")
            count += given or _INSTANCES
            if count > _MOST_INSTANCES:
                raise schema.SchemaError(
                    group.line_of("count"),
                    f"model {self._name} has {count} instances, and each has the whole model in memory: at most "
                    f"{_MOST_INSTANCES} are run here",
                )
        return count if groups else _INSTANCES

    def _batching(self, size: int) -> Batching | None:
        node = self._node.node("dynamic_batching")
        if node is None:
            return None
        for field in ("priority_levels", "default_priority_level"):
            if node.number(field):
                raise schema.SchemaError(node.line_of(field), f"{field!r}: queues have no priorities here.")
        if node.number("preserve_ordering") and self._instances() > 1:
            raise schema.SchemaError(
                node.line_of("preserve_ordering"),
                "'preserve_ordering' is kept here by a single instance only: set count to 1 in instance_group.",
            )
        preferred = tuple(sorted(set(node.numbers("preferred_batch_size"))))
        line = node.line_of("preferred_batch_size")
        if preferred and preferred[0] <= 0:
            raise schema.SchemaError(line, f"dynamic batching preferred size must be positive for {self._name}")
        if preferred and preferred[-1] > size:
            raise schema.SchemaError(
                line, f"dynamic batching preferred size must be <= max batch size for {self._name}"
            )
        return Batching(preferred or ((size,) if size else ()), node.number("max_queue_delay_microseconds") / 1e6)

    def _versions(self) -> tuple[Any, ...]:
        node = self._node.node("version_policy")
        if node is None:
            return ("latest", 1)
        if (latest := node.node("latest")) is not None:
            return ("latest", latest.number("num_versions") or 1)
        if (specific := node.node("specific")) is not None:
            return ("specific", *specific.numbers("versions"))
        return ("all",) if node.has("all") else ("latest", 1)

    def _parameters(self) -> dict[str, str]:
        found = {}
        for entry in self._node.nodes("parameters"):
            value = entry.node("value")
            found[entry.text("key")] = "" if value is None else value.text("string_value")
        return found

    def _graph(self) -> int:
        optimization = self._node.node("optimization")
        graph = None if optimization is None else optimization.node("graph")
        return 0 if graph is None else graph.number("level")


_V2 = {f"TYPE_{each}": each for each in ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32")}
_V2.update({f"TYPE_{each}": each for each in ("INT64", "FP16", "FP32", "FP64")}, TYPE_STRING="BYTES")


def protocol_name(datatype: str) -> str:
    """FP32 → TYPE_FP32, BYTES → TYPE_STRING."""
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


def elements(dims: tuple[int, ...]) -> int:
    """The product of those that are known."""
    count = 1
    for each in dims:
        count *= each if each >= 0 else 1
    return count

"""Triton's ModelConfig (triton-inference-server/common, ``protobuf/model_config.proto``), as far as it is served here.

A field is ``name:type``, ``*type`` where it may come several times. What is known and not done here is in ``REFUSED``;
what has nothing to act on without a GPU is in ``IDLE``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .text import Field, Message, Scalar

DATA_TYPES = (
    *("TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8"),
    *("TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING", "TYPE_BF16"),
)
_ENUMS: Mapping[str, tuple[str, ...]] = {
    "DataType": DATA_TYPES,
    "Kind": ("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"),
    "Format": ("FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"),
}
_MESSAGES: Mapping[str, str] = {
    "ModelConfig": (
        "name:string platform:string backend:string runtime:string version_policy:ModelVersionPolicy "
        "max_batch_size:int32 input:*ModelInput output:*ModelOutput optimization:ModelOptimizationPolicy "
        "dynamic_batching:ModelDynamicBatching instance_group:*ModelInstanceGroup default_model_filename:string "
        "metric_tags:*StringEntry parameters:*ParameterEntry model_transaction_policy:ModelTransactionPolicy "
        "response_cache:ModelResponseCache"
    ),
    "ModelVersionPolicy": "latest:Latest all:All specific:Specific",
    "Latest": "num_versions:uint32",
    "All": "",
    "Specific": "versions:*int64",
    "ModelInput": (
        "name:string data_type:DataType format:Format dims:*int64 reshape:ModelTensorReshape is_shape_tensor:bool "
        "allow_ragged_batch:bool optional:bool is_non_linear_format_io:bool"
    ),
    "ModelOutput": (
        "name:string data_type:DataType dims:*int64 reshape:ModelTensorReshape label_filename:string "
        "is_shape_tensor:bool is_non_linear_format_io:bool"
    ),
    "ModelTensorReshape": "shape:*int64",
    "ModelInstanceGroup": "name:string kind:Kind count:int32 gpus:*int32 passive:bool",
    "ModelDynamicBatching": (
        "preferred_batch_size:*int32 max_queue_delay_microseconds:uint64 preserve_ordering:bool "
        "priority_levels:uint64 default_priority_level:uint64"
    ),
    "ModelOptimizationPolicy": "graph:Graph",
    "Graph": "level:int32",
    "ModelTransactionPolicy": "decoupled:bool",
    "ModelResponseCache": "enable:bool",
    "StringEntry": "key:string value:string",
    "ParameterEntry": "key:string value:ModelParameter",
    "ModelParameter": "string_value:string",
}
_SEE = "NVIDIA's tritonserver does it: install nvidia-pytriton and set WILDSAGE_TRITON_ENGINE to tritonserver."
REFUSED: Mapping[tuple[str, str], str] = {
    ("ModelConfig", "sequence_batching"): f"Sequences are not served here. {_SEE}",
    ("ModelConfig", "ensemble_scheduling"): f"Ensembles are not served here. {_SEE}",
    ("ModelConfig", "batch_input"): "Batch inputs are not made here: leave ragged batching out.",
    ("ModelConfig", "batch_output"): "Batch outputs are not made here: leave ragged batching out.",
    (
        "ModelConfig",
        "model_warmup",
    ): "Models are not warmed up here: send the requests once the endpoint is in service.",
    ("ModelConfig", "model_operations"): "Libraries of operators of your own are not loaded here.",
    ("ModelConfig", "model_repository_agents"): "There are no repository agents here.",
    ("ModelConfig", "cc_model_filenames"): "There is no GPU here to choose a file for: use default_model_filename.",
    ("ModelDynamicBatching", "default_queue_policy"): "Queues have no policies here: requests wait until they run.",
    ("ModelDynamicBatching", "priority_queue_policy"): "Queues have no priorities here.",
    ("ModelInstanceGroup", "rate_limiter"): "Instances are not limited by resources here: use count.",
    ("ModelInstanceGroup", "host_policy"): "There are no host policies here.",
    ("ModelInstanceGroup", "secondary_devices"): "There are no secondary devices here.",
    ("ModelInstanceGroup", "profile"): "Profiles are TensorRT's, which is not here.",
}
IDLE = (
    ("ModelConfig", "model_metrics"),
    ("ModelOptimizationPolicy", "priority"),
    ("ModelOptimizationPolicy", "cuda"),
    ("ModelOptimizationPolicy", "execution_accelerators"),
    ("ModelOptimizationPolicy", "input_pinned_memory"),
    ("ModelOptimizationPolicy", "output_pinned_memory"),
    ("ModelOptimizationPolicy", "gather_kernel_buffer_threshold"),
    ("ModelOptimizationPolicy", "eager_batching"),
)
_ONE_OF = (
    ("ModelVersionPolicy", ("latest", "all", "specific")),
    ("ModelConfig", ("dynamic_batching", "sequence_batching", "ensemble_scheduling")),
)
_BITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "uint32": (0, 2**32 - 1)}
_BITS["uint64"] = (0, 2**64 - 1)
_TRUE, _FALSE = ("true", "True", "t", "1"), ("false", "False", "f", "0")


class SchemaError(Exception):
    """``line``: of the field or value that is wrong."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line


class Node:
    """A message whose fields are known: name → values (of Python's types, or nodes) and the lines they are on."""

    def __init__(self, line: int) -> None:
        self.line = line
        self._values: dict[str, list[tuple[object, int]]] = {}
        self.idle: list[Field] = []

    def add(self, name: str, value: object, line: int) -> None:
        self._values.setdefault(name, []).append((value, line))

    def has(self, name: str) -> bool:
        return name in self._values

    def line_of(self, name: str) -> int:
        """Where a field is first given, else where the message begins."""
        return self._values[name][0][1] if name in self._values else self.line

    def text(self, name: str) -> str:
        return str(self._values[name][0][0]) if name in self._values else ""

    def number(self, name: str) -> int:
        value = self._values[name][0][0] if name in self._values else 0
        assert isinstance(value, int)
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        return tuple(value for value, _ in self._values.get(name, ()) if isinstance(value, int))

    def nodes(self, name: str) -> list[Node]:
        return [value for value, _ in self._values.get(name, ()) if isinstance(value, Node)]

    def node(self, name: str) -> Node | None:
        return next(iter(self.nodes(name)), None)


class _Kind(NamedTuple):
    name: str
    several: bool


_FIELDS = {
    message: {
        name: _Kind(kind.lstrip("*"), kind.startswith("*"))
        for name, _, kind in (each.partition(":") for each in fields.split())
    }
    for message, fields in _MESSAGES.items()
}


def read(message: Message) -> Node:
    """A ModelConfig; raises SchemaError for what is unknown, of another type, given twice, or refused here."""
    node = Node(message.line)
    _read(message, "ModelConfig", node, node.idle)
    return node


def _read(message: Message, kind: str, node: Node, idle: list[Field]) -> None:
    fields = _FIELDS[kind]
    for field in message.fields:
        if (words := REFUSED.get((kind, field.name))) is not None:
            raise SchemaError(field.line, f"{field.name!r} is refused. {words}")
        if (kind, field.name) in IDLE:
            idle.append(field)
            continue
        known = fields.get(field.name)
        if known is None:
            raise SchemaError(field.line, f"{kind} has no field {field.name!r}")
        if node.has(field.name) and not known.several:
            raise SchemaError(
                field.line, f"{field.name!r} is given a second time; line {node.line_of(field.name)} has it"
            )
        node.add(field.name, _value(field, known.name, idle), field.line)
    for owner, names in _ONE_OF:
        given = [name for name in names if owner == kind and node.has(name)]
        if len(given) > 1:
            raise SchemaError(node.line_of(given[1]), f"{given[0]!r} and {given[1]!r} exclude each other")


def _value(field: Field, kind: str, idle: list[Field]) -> object:
    value = field.value
    if kind in _FIELDS:
        if isinstance(value, Scalar):
            raise SchemaError(field.line, f"{field.name!r} is a message in braces, not {value.text!r}")
        node = Node(value.line)
        _read(value, kind, node, idle)
        return node
    if isinstance(value, Message):
        raise SchemaError(field.line, f"{field.name!r} is a single value, not a message in braces")
    return _scalar(field, value, kind)


def _scalar(field: Field, value: Scalar, kind: str) -> object:
    if kind == "string":
        if value.kind != "string":
            raise SchemaError(value.line, f"{field.name!r} is a string in quotes, not {value.text}")
        return value.text
    if kind == "bool":
        if value.kind == "string" or value.text not in (*_TRUE, *_FALSE):
            raise SchemaError(value.line, f"{field.name!r} is true or false, not {value.text!r}")
        return int(value.text in _TRUE)
    if kind in _ENUMS:
        return _member(field, value, _ENUMS[kind])
    number = _integer(value)
    low, high = _BITS[kind]
    if number is None or not low <= number <= high:
        raise SchemaError(value.line, f"{field.name!r} is a whole number ({kind}), not {value.text!r}")
    return number


def _member(field: Field, value: Scalar, members: tuple[str, ...]) -> str:
    number = _integer(value)
    if number is not None and 0 <= number < len(members):
        return members[number]
    if value.kind != "word" or value.text not in members:
        raise SchemaError(value.line, f"{field.name!r} is one of {', '.join(members)}, not {value.text!r}")
    return value.text


def _integer(value: Scalar) -> int | None:
    """Decimal, hexadecimal (0x…) or octal (0…)."""
    if value.kind != "number":
        return None
    digits = value.text.lstrip("-")
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") and len(digits) > 1 else 10
    try:
        return int(digits, base) * (-1 if value.text.startswith("-") else 1)
    except ValueError:
        return None

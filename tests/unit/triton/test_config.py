"""config.pbtxt: what it may say, and that what is wrong is said with its line."""

from __future__ import annotations

import pytest

from wildsage.toolkit.serving.triton import text
from wildsage.toolkit.serving.triton.config import Config, ConfigError, read
from wildsage.toolkit.serving.triton.session import Known, check, complete

_GOOD = """
# A comment, and the syntax as people write it.
name: "digits"
platform: 'onnxruntime_onnx'
max_batch_size: 0x10;
input [
  { name: "X" data_type: TYPE_FP32 dims: [ -1, 0x8, 010 ] },
  { name: "Y", data_type: 8, dims: 4 dims: 2 reshape: { shape: [ 8 ] } }
]
output < name: "P" data_type: TYPE_STRING dims: [ 1 ] label_filename: "la" "bels.txt" reshape { shape: [] } >
instance_group [ { kind: KIND_CPU count: 3 }, { kind: KIND_AUTO } ]
dynamic_batching { preferred_batch_size: [ 8, 4 ] max_queue_delay_microseconds: 1500 }
version_policy: { specific { versions: [ 1, 3 ] } }
optimization { graph { level: -1 } cuda { graphs: true } }
parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
"""


def config(given: str, name: str = "digits") -> Config:
    return read(given, "config.pbtxt", name)


def test_what_is_read() -> None:
    found = config(_GOOD)
    assert (found.max_batch_size, found.instances, found.versions, found.graph) == (16, 5, ("specific", 1, 3), -1)
    assert found.batching is not None
    assert found.batching == ((4, 8), 0.0015)
    first, second = found.inputs
    assert (first.datatype, first.dims, first.inside) == ("FP32", (-1, 8, 8), (-1, 8, 8))
    assert (second.datatype, second.dims, second.inside) == ("INT32", (4, 2), (8,))
    (output,) = found.outputs
    assert (output.datatype, output.inside, output.labels) == ("BYTES", (), "labels.txt")
    assert found.parameters == {"intra_op_thread_count": "2"}
    assert len(found.notes) == 1
    assert "config.pbtxt:14: 'cuda' is without effect" in found.notes[0]


def test_what_is_left_out() -> None:
    found = config("", "any")
    assert (found.name, found.max_batch_size, found.instances, found.batching) == ("any", None, 2, None)
    assert (found.versions, found.file) == (("latest", 1), "model.onnx")


def test_text_is_written_as_it_was_read() -> None:
    message = text.parse(_GOOD)
    again = text.parse(text.write(message))

    def bare(found: text.Message) -> list[object]:
        return [
            (field.name, bare(field.value) if isinstance(field.value, text.Message) else field.value[:2])
            for field in found.fields
        ]

    assert bare(again) == bare(message)
    assert text.parse(text.write(text.parse(r'a: "\n\x41\101ü\""'))).fields[0].value[1] == 'ü"'.join(["\nAA", ""])


@pytest.mark.parametrize(
    ("given", "line", "words"),
    [
        ('name: "digits"\ninput [ { name: "X"', 2, "'}' is missing before the end of the file"),
        ("max_batch_size 8", 1, "expected ':' or '{' after 'max_batch_size', found '8'"),
        ("\n\nmax_batch_size: ", 3, "expected the value of 'max_batch_size'"),
        ('name: "digits', 1, "a string that does not end"),
        ("input [ {} {} ]", 1, "expected ',' or ']' in the list of 'input'"),
        ("name: digits", 1, "'name' is a string in quotes, not digits"),
        ("a: %", 1, "'%' does not belong here"),
        ("a: " + "1" * 100_000 + "a", 1, "'1' does not belong here"),
        (r'name: "\U99999999"', 1, "unknown escape"),
        ("x {" * 60, 1, "nested too deeply"),
        ('\n\nmax_batchsize: 8\nname: "digits"', 3, "ModelConfig has no field 'max_batchsize'"),
        ("max_batch_size: 1.5", 1, "'max_batch_size' is a whole number (int32), not '1.5'"),
        ("max_batch_size: 8\nmax_batch_size: 9", 2, "'max_batch_size' is given a second time; line 1 has it"),
        ("max_batch_size: -1", 1, "must be non-negative"),
        ("input { dims: { } }", 1, "'dims' is a single value"),
        ("input: 3", 1, "'input' is a message in braces"),
        ('input {\n name: "X"\n data_type: TYPE_FP16X }', 3, "'data_type' is one of TYPE_INVALID"),
        ('input {\n name: "X" dims: 1 }', 1, "model input 'X' must specify 'data_type'"),
        ('input {\n name: "X" data_type: TYPE_INT8 }', 1, "model input 'X' must specify 'dims'"),
        ('input {\n name: "X" data_type: TYPE_INT8\n dims: [ 0 ] }', 3, "dimension must be integer >= 1"),
        ('input { name: "X" data_type: TYPE_INT8 dims: 6 reshape { shape: [ 2, 2 ] } }', 1, "different size for dims"),
        ('input { name: "X" data_type: TYPE_INT8 dims: 1 reshape { } }', 1, "empty reshape for non-batching"),
        ('output { name: "Y" data_type: TYPE_BF16 dims: 1 }', 1, "TYPE_BF16, which is not served here"),
        ('name: "other"', 1, "unexpected directory name 'digits' for model 'other'"),
        ('\nplatform: "tensorrt_plan"', 2, "the platform 'tensorrt_plan' of model 'digits' is not served here"),
        ('backend: "python"', 1, "WILDSAGE_TRITON_ENGINE to tritonserver"),
        ("instance_group [\n {\n count: 1\n kind: KIND_GPU } ]", 4, "kind KIND_GPU but no GPUs are available"),
        ("instance_group { count: 200 }\ninstance_group {\n count: 57 }", 3, "257 instances"),
        ("instance_group { count: 2147483647 }", 1, "at most 256 are run here"),
        ("instance_group { kind: KIND_CPU gpus: 0 }", 1, "KIND_CPU but specifies one or more GPUs"),
        ("sequence_batching { }", 1, "'sequence_batching' is refused. Sequences are not served here"),
        ("\nensemble_scheduling { step [ ] }", 2, "Ensembles are not served here"),
        ("max_batch_size: 4\ndynamic_batching { priority_levels: 2 }", 2, "queues have no priorities here"),
        ("dynamic_batching { default_queue_policy { max_queue_size: 2 } }", 1, "Queues have no policies here"),
        ("max_batch_size: 4\ndynamic_batching {\n preferred_batch_size: [ 4, 8 ] }", 3, "must be <= max batch size"),
        ("dynamic_batching { preserve_ordering: true }", 1, "set count to 1 in instance_group"),
        ("model_transaction_policy { decoupled: true }", 1, "decoupled models are not served here"),
        ("response_cache { enable: true }", 1, "leave response_cache out"),
        ("version_policy { latest { } all { } }", 1, "'latest' and 'all' exclude each other"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(given: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(given)
    assert str(caught.value).startswith(f"config.pbtxt:{line}: ")
    assert words in str(caught.value)


_X = Known("X", "FP32", (-1, 4))
_Y = Known("Y", "INT64", (-1,))
_HEAD = 'max_batch_size: 8\noutput { name: "Y" data_type: TYPE_INT64 dims: 1 reshape { } }\n'


def test_what_the_model_itself_completes() -> None:
    found = complete(config("", "any"), [_X], [_Y])
    assert (found.max_batch_size, found.batching) == (4, ((4,), 0.0))
    assert found.inputs[0][:4] == ("X", "FP32", (4,), None)
    assert found.outputs[0][:4] == ("Y", "INT64", (1,), ())
    fixed = complete(config("", "any"), [Known("X", "FP32", (2, 4))], [_Y])
    assert (fixed.max_batch_size, fixed.inputs[0].dims) == (0, (2, 4))
    with pytest.raises(ConfigError, match="does not support batching while non-zero max_batch_size"):
        complete(config("max_batch_size: 2", "any"), [Known("X", "FP32", (2, 4))], [_Y])


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ('name: "X" data_type: TYPE_FP32 dims: 4', ""),
        ('name: "X" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: 4 }', ""),
        ('name: "Z" data_type: TYPE_FP32 dims: 4', "unexpected inference input 'Z', allowed inputs are: X"),
        (
            'name: "X" data_type: TYPE_FP64 dims: 4',
            "unexpected datatype TYPE_FP64 for inference input 'X', expecting TYP",
        ),
        ('name: "X" data_type: TYPE_FP32 dims: 5', "tensor 'X': the model expects 2 dimensions (shape [-1,4])"),
        ('name: "X" data_type: TYPE_FP32 dims: [ 4, 1 ]', "complete shape [-1,4,1])"),
    ],
)
def test_whether_it_is_the_models(tensor: str, words: str) -> None:
    wanted = config(f"{_HEAD}input {{ {tensor} }}")
    if not words:
        check(wanted, [_X], [_Y])
        return
    with pytest.raises(ConfigError) as caught:
        check(wanted, [_X], [_Y])
    assert str(caught.value).startswith("config.pbtxt:3: ")
    assert words in str(caught.value)


def test_a_model_without_a_batch_is_not_batched() -> None:
    wanted = config(f'{_HEAD}input {{ name: "X" data_type: TYPE_FP32 dims: 4 }}')
    with pytest.raises(
        ConfigError, match="the first dimension must be -1; but shape expected by the model is \\[1,4\\]"
    ):
        check(wanted, [Known("X", "FP32", (1, 4))], [_Y])
    with pytest.raises(ConfigError, match="configuration expects 1 inputs, model provides 2: X, Y"):
        check(wanted, [_X, _Y], [_Y])

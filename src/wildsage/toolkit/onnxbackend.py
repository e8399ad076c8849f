"""``model.py`` of an ONNX model in NVIDIA's tritonserver, whose Python backend imports this file by itself.

PyTriton's tritonserver has no ONNX Runtime backend, so ONNX Runtime is asked from here; everything else (batching,
queues, statistics, the protocol) is tritonserver's.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

_np: Any = importlib.import_module("numpy")
_pb: Any = importlib.import_module("triton_python_backend_utils")
_TYPES = {
    **{f"tensor({name})": f"TYPE_{name.upper()}" for name in ("bool", "uint8", "uint16", "uint32", "uint64", "int8")},
    **{f"tensor({name})": f"TYPE_{name.upper()}" for name in ("int16", "int32", "int64", "string")},
    **{"tensor(float16)": "TYPE_FP16", "tensor(float)": "TYPE_FP32", "tensor(double)": "TYPE_FP64"},
}


class TritonPythonModel:
    """One instance: a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Raises what tritonserver then shows as the reason why the model is not loaded."""
        runtime = importlib.import_module("onnxruntime")
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
        options = runtime.SessionOptions()
        options.intra_op_num_threads = int(parameters.get("intra_op_thread_count") or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = os.path.join(args["model_repository"], args["model_version"], parameters["wildsage_onnx_file"])
        self._session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._check(config["input"], self._session.get_inputs(), "input")
        self._check(config["output"], self._session.get_outputs(), "output")
        self._inputs = [each["name"] for each in config["input"]]
        self._texts = {each["name"] for each in config["input"] if each["data_type"] == "TYPE_STRING"}
        self._outputs = [each["name"] for each in config["output"]]
        self._batches = config["max_batch_size"] > 0

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer for each request, in their order."""
        feeds = [self._feed(request) for request in requests]
        if len(feeds) > 1 and self._batches and len({self._shapes(feed) for feed in feeds}) == 1:
            try:
                return self._together(feeds)
            except Exception:  # one of them may be to blame: the others are not to suffer for it
                pass
        return [self._alone(feed) for feed in feeds]

    def _check(self, wanted: list[dict[str, Any]], found: list[Any], kind: str) -> None:
        known = {each.name: each.type for each in found}
        for each in wanted:
            name, asked = each["name"], each["data_type"]
            if name not in known:
                raise _pb.TritonModelException(
                    f"unexpected inference {kind} '{name}', allowed {kind}s are: {', '.join(known)}"
                )
            if _TYPES.get(known[name]) != asked:
                raise _pb.TritonModelException(
                    f"unexpected datatype {asked} for inference {kind} '{name}', expecting {known[name]}"
                )

    def _feed(self, request: Any) -> dict[str, Any]:
        feed = {name: _pb.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
        for name in self._texts:
            texts = [each.decode() for each in feed[name].ravel()]
            feed[name] = _np.array(texts, object).reshape(feed[name].shape)
        return feed

    def _shapes(self, feed: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
        return tuple(feed[name].shape[1:] for name in self._inputs)

    def _together(self, feeds: list[dict[str, Any]]) -> list[Any]:
        joined = {name: _np.concatenate([feed[name] for feed in feeds]) for name in self._inputs}
        found = self._session.run(self._outputs, joined)
        answers, at = [], 0
        for feed in feeds:
            end = at + len(feed[self._inputs[0]])
            answers.append(self._answer([array[at:end] for array in found]))
            at = end
        return answers

    def _alone(self, feed: dict[str, Any]) -> Any:
        try:
            return self._answer(self._session.run(self._outputs, feed))
        except Exception as error:  # pybind's exceptions have no common class
            return _pb.InferenceResponse(output_tensors=[], error=_pb.TritonError(f"onnx runtime: {error}"))

    def _answer(self, arrays: list[Any]) -> Any:
        tensors = []
        for name, array in zip(self._outputs, arrays):  # noqa: B905 - Python 3.9
            if array.dtype == object:
                array = _np.array([str(each).encode() for each in array.ravel()], object).reshape(array.shape)
            tensors.append(_pb.Tensor(name, _np.ascontiguousarray(array)))
        return _pb.InferenceResponse(output_tensors=tensors)

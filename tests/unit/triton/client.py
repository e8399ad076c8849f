"""What ``tritonclient`` asks of a server: ``python client.py HOST:PORT FEATURE…``, with the Python of ``make triton``.

Ends with status 0 if all was answered as it should be.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

http: Any = importlib.import_module("tritonclient.http")
Error: Any = importlib.import_module("tritonclient.utils").InferenceServerException


def given(name: str, array: Any, datatype: str, binary: bool = True) -> Any:
    tensor = http.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def refused(words: str, call: Callable[[], object]) -> None:
    try:
        call()
    except Error as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"{words}: nothing was refused")


def health(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "triton"
    assert client.is_model_ready("double")
    assert client.is_model_ready("double", "1")
    assert not client.is_model_ready("double", "2")
    assert not client.is_model_ready("nothing")


def metadata(client: Any) -> None:
    shown = client.get_model_metadata("double")
    assert shown["name"] == "double"
    assert shown["versions"] == ["1"]
    assert shown["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}]
    assert shown["outputs"] == [{"name": "Y", "datatype": "FP32", "shape": [-1, 2]}]
    config = client.get_model_config("double")
    assert config["max_batch_size"] == 8
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert config["dynamic_batching"]["preferred_batch_size"] == [8]
    refused("unknown model", lambda: client.get_model_metadata("nothing"))


def infer(client: Any) -> None:
    rows = np.array([[1, 2], [3, 4]], "f4")
    for binary in (True, False):
        wanted = [http.InferRequestedOutput("Y", binary_data=binary)]
        for compression in (None, "gzip", "deflate"):
            found = client.infer(
                "double",
                [given("X", rows, "FP32", binary)],
                outputs=wanted,
                request_id="17",
                request_compression_algorithm=compression,
                response_compression_algorithm=compression,
            )
            assert found.as_numpy("Y").tolist() == (rows * 2).tolist()
            assert found.get_response()["id"] == "17"
    assert client.infer("double", [given("X", rows, "FP32")], model_version="1").as_numpy("Y").shape == (2, 2)
    refused("unexpected shape for input 'X'", lambda: client.infer("double", [given("X", rows[:, :1], "FP32")]))


def types(client: Any) -> None:
    arrays = {
        "T": (np.array([["a", "ü"]], object), "BYTES"),
        "B": (np.array([[True, False]]), "BOOL"),
        "I": (np.array([[-128, 127]], "i1"), "INT8"),
        "U": (np.array([[0, 2**64 - 1]], "u8"), "UINT64"),
        "H": (np.array([[0.5, -2]], "f2"), "FP16"),
        "D": (np.array([[1e300, 0]], "f8"), "FP64"),
    }
    found = client.infer("typed", [given(name, *each) for name, each in arrays.items()])
    for name, (array, datatype) in arrays.items():
        answer = found.as_numpy(f"{name}_OUT")
        shown = [each.decode() for each in answer.ravel()] if datatype == "BYTES" else answer.ravel().tolist()
        assert shown == array.ravel().tolist(), (name, shown)
    plain = np.array([[1, 2], [3, 4]], "i4")
    found = client.infer("plain", [given("A", plain, "INT32"), given("B", plain * 2, "INT32", False)])
    assert found.as_numpy("Y").tolist() == (-plain).tolist()
    assert client.infer("scalar", [given("X", np.eye(4, dtype="f4"), "FP32")]).as_numpy("Y").tolist() == [[1]] * 4


def classification(client: Any) -> None:
    rows = np.array([[0.25, 1, 0.5]], "f4")
    found = client.infer("scores", [given("X", rows, "FP32")], outputs=[http.InferRequestedOutput("Y", class_count=2)])
    assert [each.decode() for each in found.as_numpy("Y").ravel()] == ["1.000000:1:two", "0.500000:2:three"]


def repository(client: Any) -> None:
    states = {each["name"]: each.get("state", "") for each in client.get_model_repository_index()}
    assert states["double"] == "READY"
    assert states["other"] != "READY"
    client.load_model("other")
    assert client.is_model_ready("other")
    assert client.infer("other", [given("X", np.ones((1, 2), "f4"), "FP32")]).get_response()["model_version"] == "3"
    client.unload_model("other")
    refused("has no available versions", lambda: client.get_model_metadata("other"))
    refused("load", lambda: client.load_model("broken"))


def batching(client: Any) -> None:
    """Of requests that are sent at once, one that the model cannot answer fails, and no other."""
    asked = {
        number: client.async_infer("lookup", [given("I", np.array([[number]], "i8"), "INT64")])
        for number in (0, 1, 2, 7)
    }
    outcomes: dict[int, object] = {}
    for number, request in asked.items():
        try:
            outcomes[number] = request.get_result().as_numpy("Y")[0, 0].decode()
        except Error as error:
            outcomes[number] = error
    assert [outcomes[number] for number in range(3)] == ["zero", "one", "zwei ü"], outcomes
    assert isinstance(outcomes[7], Error)


def counted(client: Any) -> None:
    """After ``batching``: NVIDIA's server counts a little later than it answers."""
    shown = client.get_inference_statistics("lookup")["model_stats"][0]["inference_stats"]
    assert (shown["success"]["count"], shown["fail"]["count"]) == (3, 1)


FEATURES = {
    each.__name__: each for each in (health, metadata, infer, types, classification, repository, batching, counted)
}


def main() -> None:
    client = http.InferenceServerClient(sys.argv[1], concurrency=4, network_timeout=60.0, connection_timeout=60.0)
    for name in sys.argv[2:]:
        FEATURES[name](client)
        print(f"{name}: as it should be", flush=True)


if __name__ == "__main__":
    main()

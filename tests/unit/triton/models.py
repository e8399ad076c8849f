"""Small ONNX models, made by ``onnx.helper`` in the environment of ``make triton``: ``python models.py FOLDER``.

double    Y = X + X, floats, rows of two           lookup    Y = one of three strings, by index: others fail
typed     what comes in goes out, of many types    scores    what comes in goes out, rows of three
plain     Y = A - B, without a batch               scalar    Y is the greatest of a row: no dimension but the batch's
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    onnx: Any = importlib.import_module("onnx")
    make, types = onnx.helper, onnx.TensorProto

    def value(name: str, kind: int, shape: list[int | None]) -> Any:
        return make.make_tensor_value_info(name, kind, shape)

    def save(
        name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: tuple[Any, ...] = ()
    ) -> None:
        graph = make.make_graph(nodes, name, inputs, outputs, list(constants))
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
        onnx.save(model, folder / name / "1" / "model.onnx")

    rows = [None, 2]
    save(
        "double",
        [make.make_node("Add", ["X", "X"], ["Y"])],
        [value("X", types.FLOAT, rows)],
        [value("Y", types.FLOAT, rows)],
    )
    words = make.make_tensor("words", types.STRING, [3], [b"zero", b"one", "zwei ü".encode()])
    save(
        "lookup",
        [make.make_node("Gather", ["words", "I"], ["Y"])],
        [value("I", types.INT64, [None, None])],
        [value("Y", types.STRING, [None, None])],
        (words,),
    )
    kinds = {"T": types.STRING, "B": types.BOOL, "I": types.INT8, "U": types.UINT64, "H": types.FLOAT16}
    kinds["D"] = types.DOUBLE
    save(
        "typed",
        [make.make_node("Identity", [name], [f"{name}_OUT"]) for name in kinds],
        [value(name, kind, rows) for name, kind in kinds.items()],
        [value(f"{name}_OUT", kind, rows) for name, kind in kinds.items()],
    )
    save(
        "scores",
        [make.make_node("Identity", ["X"], ["Y"])],
        [value("X", types.FLOAT, [None, 3])],
        [value("Y", types.FLOAT, [None, 3])],
    )
    save(
        "plain",
        [make.make_node("Sub", ["A", "B"], ["Y"])],
        [value("A", types.INT32, [2, 2]), value("B", types.INT32, [2, 2])],
        [value("Y", types.INT32, [2, 2])],
    )
    axes = make.make_tensor("axes", types.INT64, [1], [1])
    save(
        "scalar",
        [make.make_node("ReduceMax", ["X", "axes"], ["Y"], keepdims=0)],
        [value("X", types.FLOAT, [None, 4])],
        [value("Y", types.FLOAT, [None])],
        (axes,),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

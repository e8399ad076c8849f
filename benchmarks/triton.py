"""Dynamic batching for a small ONNX model: ours beside itself without it, and beside NVIDIA's own tritonserver.

    python -m benchmarks.triton [--rounds 5] [--seconds 3] [--hidden 2048]

The model is a network of three layers (4.4 million weights with 2,048 in a layer, as many as MobileNet has), trained on
scikit-learn's scanned digits. 32 clients send one digit at a time to /invocations, in the binary form that AWS's
notebooks use; wrk sends it. tritonserver is PyTriton's (nvidia-pytriton), which has Triton's Python backend alone: it
runs the same ONNX Runtime in a process beside. Everything shares the machine's CPUs; one instance of the model each,
one thread in it. A busy machine spoils rates, hence the CPU time. wrk is Debian's, the rest is in .venv-triton
(`make triton`). Exit status 1 if the bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import wildsage
from benchmarks.load import cpu_seconds, wrk
from benchmarks.modelserver import until_ready
from benchmarks.report import Finding, spread
from benchmarks.startup import free_port

CLIENTS = 32
BAR = 3.0
ROOT = Path(__file__).resolve().parents[1]
MIME = "application/vnd.sagemaker-triton.binary+json;json-header-size="
CONFIG = """
name: "digits"
platform: "onnxruntime_onnx"
max_batch_size: 32
input { name: "image" data_type: TYPE_FP32 dims: 64 }
output { name: "probabilities" data_type: TYPE_FP32 dims: 10 }
instance_group { kind: KIND_CPU count: 1 }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
BATCHED = "dynamic_batching { max_queue_delay_microseconds: 200 }\n"
# Runs in .venv-triton: an ONNX model of the weights, the way skl2onnx would write it.
EXPORT = """
import sys, numpy, onnx
from onnx import TensorProto, helper, numpy_helper
weights = numpy.load(sys.argv[1])
count = len(weights) // 2
nodes, constants, last = [], [], "image"
for number in range(count):
    for kind in "WB":
        constants.append(numpy_helper.from_array(weights[f"{kind}{number}"], f"{kind}{number}"))
    nodes.append(helper.make_node("Gemm", [last, f"W{number}", f"B{number}"], [f"sum{number}"]))
    last = f"layer{number}" if number < count - 1 else "probabilities"
    nodes.append(helper.make_node("Relu" if number < count - 1 else "Softmax", [f"sum{number}"], [last]))
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])
        for name, size in (("image", 64), ("probabilities", 10))]
graph = helper.make_graph(nodes, "digits", ends[:1], ends[1:], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
onnx.checker.check_model(model)
onnx.save(model, sys.argv[2])
"""


def python() -> Path:
    """The interpreter with ONNX Runtime and tritonserver."""
    path = ROOT / ".venv-triton" / "bin" / "python"
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `make triton` first")
    return path


def trained(folder: Path, hidden: int) -> tuple[float, Any]:
    """Writes ``model.onnx``; how many of the digits it has not seen it knows, and one of these."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("f4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few rounds are enough to know digits
        model = MLPClassifier((hidden, hidden), max_iter=4, random_state=0).fit(images[:1500], labels[:1500])
    layers = {f"W{number}": each for number, each in enumerate(model.coefs_)}
    layers |= {f"B{number}": each for number, each in enumerate(model.intercepts_)}
    np.savez(folder / "weights.npz", **{name: each.astype("f4") for name, each in layers.items()})
    command = [str(python()), "-c", EXPORT, str(folder / "weights.npz"), str(folder / "model.onnx")]
    subprocess.run(command, check=True)
    return float(model.score(images[1500:], labels[1500:])), images[1500:1501]


def repository(folder: Path, name: str, config: str) -> Path:
    place = folder / name / "model" / "digits"
    (place / "1").mkdir(parents=True)
    (place / "1" / "model.onnx").symlink_to(folder / "model.onnx")
    (place / "config.pbtxt").write_text(config)
    return place.parent


@contextlib.contextmanager
def serving(models: Path, engine: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The model server as a container runs it; of tritonserver its own port, without ours before it."""
    port, direct = free_port(), free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "SM_MODEL_DIR": str(models),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "WILDSAGE_FRAMEWORK": "triton",
        "WILDSAGE_TRITON_ENGINE": engine,
    }
    if engine == "tritonserver":
        environ["SAGEMAKER_TRITON_ADDITIONAL_ARGS"] = f"--allow-sagemaker=true --sagemaker-port={direct}"
    serve = Path(wildsage.__file__).parent / "toolkit" / "serve.py"
    with (models.parent / "log").open("wb") as log:
        process = subprocess.Popen([str(python()), str(serve)], env=environ, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{direct if engine == 'tritonserver' else port}"
        until_ready(f"{url}/ping")
        yield process, url
    finally:
        process.terminate()
        process.wait(60)


def request(folder: Path, image: Any) -> Path:
    """A wrk script that sends one digit."""
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 64], "parameters": {"binary_data_size": 256}}
    wanted = {"name": "probabilities", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
    body = "".join(f"\\{byte:03d}" for byte in head + image.tobytes())
    lines = ['wrk.method = "POST"', f'wrk.body = "{body}"', f'wrk.headers["Content-Type"] = "{MIME}{len(head)}"']
    path = folder / "digit.lua"
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(folder: Path, lua: Path, engine: str, batched: bool, seconds: int, turn: int) -> tuple[float, float, float]:
    """Requests a second, milliseconds at the median, and microseconds of the servers' CPU time for each."""
    name = f"{engine}-{batched}-{turn}"
    models = repository(folder, name, CONFIG + (BATCHED if batched else ""))
    with serving(models, engine) as (process, url):
        wrk(f"{url}/invocations", lua, CLIENTS, 1, None)
        before = family_seconds(process.pid)
        load = wrk(f"{url}/invocations", lua, CLIENTS, seconds, None)
        spent = family_seconds(process.pid) - before
    return load.rate, load.p50, spent / (load.rate * seconds) * 1e6


def family_seconds(pid: int) -> float:
    """CPU time of a process and of those that it has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return cpu_seconds(pid) + sum(family_seconds(int(child)) for child in text.split())


def run(rounds: int, seconds: int, hidden: int, engines: list[str]) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="wildsage-benchmark-") as name:
        folder = Path(name)
        known, image = trained(folder, hidden)
        size = (folder / "model.onnx").stat().st_size / 1e6
        yield Finding(f"digits, {hidden} in a layer: right on those not seen", f"{known:.1%}, {size:.1f} MB")
        lua = request(folder, image)
        found: dict[tuple[str, bool], list[tuple[float, float, float]]] = {}
        for turn in range(rounds):
            for engine in engines:
                for batched in (False, True):
                    outcome = measure(folder, lua, engine, batched, seconds, turn)
                    found.setdefault((engine, batched), []).append(outcome)
        for (engine, batched), each in found.items():
            rates, waits, spent = ([outcome[at] for outcome in each] for at in range(3))
            what = f"{engine}, {'dynamic batching' if batched else 'one at a time'}, {CLIENTS} clients"
            figure = f"{spread(rates)}/s, p50 {spread(waits, '.1f')} ms"
            yield Finding(what, f"{figure}, {spread(spent)} us CPU")
        for engine in engines:
            both = (found[engine, True], found[engine, False])
            ratios = sorted(with_it[0] / without[0] for with_it, without in zip(*both, strict=True))
            middle = ratios[len(ratios) // 2]
            bar = f">= {BAR:.0f} times" if engine == engines[0] else ""
            yield Finding(f"{engine}: batched over unbatched", f"{spread(ratios, '.1f')} times", bar, middle >= BAR)
            less = [without[2] / with_it[2] for with_it, without in zip(*both, strict=True)]
            yield Finding(f"{engine}: CPU time a request, unbatched over batched", f"{spread(less, '.1f')} times")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.triton", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--engines", nargs="*", default=["onnxruntime", "tritonserver"])
    options = parser.parse_args()
    missed = 0
    for finding in run(options.rounds, options.seconds, options.hidden, options.engines):
        print(finding, flush=True)
        missed += finding.bar != "" and not finding.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

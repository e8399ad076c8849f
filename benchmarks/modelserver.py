"""scikit-learn's iris on the model server, and behind the router, against the layout of most containers people bring.

    python -m benchmarks.modelserver [--seconds 3] [--rounds 5] [--peers DIR]

Ours: the native model server, by itself and behind the router, which checks signatures. The peer: nginx, gunicorn with
two gevent workers, Flask; packages are installed into ``--peers`` (default ~/.cache/wildsage-peers) on the first run,
nginx and wrk are Debian's.  All have two workers and run the same four functions on the same model; nothing is pinned.
Then the model server with a function that does nothing: the CPU time it takes for a request apart from the model.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import wildsage
from benchmarks.load import Load, cpu_seconds, median, script, snapshot, start, stop, wrk
from benchmarks.nginx import configured
from benchmarks.startup import free_port

BODY = b"5.1,3.5,1.4,0.2"
CLIENTS, WORKERS = 32, 2
PEER = "nginx + gunicorn + Flask"
PACKAGES = ("flask==3.1.2", "gunicorn==23.0.0", "gevent==25.9.1")

INFERENCE = """
import os, pickle
import numpy

def model_fn(model_dir):
    with open(os.path.join(model_dir, "model.pkl"), "rb") as file:
        return pickle.load(file)

def input_fn(data, content_type):
    text = data if isinstance(data, str) else data.decode()
    return numpy.array([[float(cell) for cell in line.split(",")] for line in text.splitlines()])

def predict_fn(data, model):
    return model.predict(data)

def output_fn(prediction, accept):
    return "".join(f"{label}\\n" for label in prediction), "text/csv"
"""

FLASK = """
import os
import flask
from inference import input_fn, model_fn, output_fn, predict_fn

app = flask.Flask(__name__)
model = model_fn(os.environ["MODEL_DIR"])

@app.route("/ping")
def ping():
    return flask.Response(status=200)

@app.route("/invocations", methods=["POST"])
def invocations():
    data = input_fn(flask.request.data, flask.request.content_type)
    body, mimetype = output_fn(predict_fn(data, model), "text/csv")
    return flask.Response(body, mimetype=mimetype)
"""

NGINX = """
  upstream gunicorn {{ server unix:{folder}/gunicorn.sock; }}
  server {{
    listen 127.0.0.1:{port};
    location ~ ^/(ping|invocations) {{
      proxy_set_header Host $http_host;
      proxy_redirect off;
      proxy_pass http://gunicorn;
    }}
  }}
"""

NOTHING = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return data, "text/csv"
"""


def until_ready(url: str) -> None:
    """Waits until ``url`` answers 200."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def model_server(folder: Path, name: str, code: str, bind: dict[str, str]) -> subprocess.Popen[str]:
    """Starts the native model server on a copy of the model with ``code``."""
    base = folder / name
    shutil.copytree(folder / "model", base / "model")
    (base / "model" / "code").mkdir()
    (base / "model" / "code" / "inference.py").write_text(code)
    environ = {
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS),
        "WILDSAGE_FRAMEWORK": "sklearn",
        **bind,
    }
    serve = Path(wildsage.__file__).parent / "toolkit" / "serve.py"
    return subprocess.Popen([sys.executable, str(serve)], env=environ, stdout=subprocess.DEVNULL, text=True)


def peer(folder: Path, packages: Path, port: int) -> list[subprocess.Popen[str]]:
    """Starts nginx and gunicorn."""
    (folder / "inference.py").write_text(INFERENCE)
    (folder / "flask_app.py").write_text(FLASK)
    own = {"PYTHONPATH": f"{packages}:{folder}", "MODEL_DIR": f"{folder}/model", "OMP_NUM_THREADS": "1"}
    environ = {**os.environ, **own}
    options = ["-k", "gevent", "-w", str(WORKERS), "-b", f"unix:{folder}/gunicorn.sock", "--log-level", "error"]
    gunicorn = [sys.executable, "-m", "gunicorn", *options, "flask_app:app"]
    return [
        subprocess.Popen(gunicorn, cwd=folder, env=environ, stderr=subprocess.DEVNULL, text=True),
        subprocess.Popen(configured(folder, NGINX.format(folder=folder, port=port)), text=True),
    ]


def install(packages: Path) -> None:
    if not (packages / "gunicorn").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages), *PACKAGES]
        subprocess.run(command, check=True)


def compare(folder: Path, packages: Path, seconds: int, rounds: int) -> dict[str, object]:
    """Rounds in turn, so that all see the same machine."""
    data = folder / "data"
    data.mkdir()
    (data / "routes.json").write_text(snapshot(f"unix:{folder}/model.sock").to_json())
    port, own = free_port(), free_port()
    running = peer(folder, packages, port)
    running.append(model_server(folder, "iris", INFERENCE, {"WILDSAGE_BIND": f"unix:{folder}/model.sock"}))
    running.append(model_server(folder, "alone", INFERENCE, {"SAGEMAKER_BIND_TO_PORT": str(own)}))
    router, line = start([sys.executable, "-m", "wildsage.dataplane", "--data", str(data), "--port", "0"])
    running.append(router)
    urls = {
        PEER: f"http://127.0.0.1:{port}/invocations",
        "model server": f"http://127.0.0.1:{own}/invocations",
        "router + model server": f"{line.removeprefix('listening on ')}/endpoints/iris/invocations",
    }
    try:
        for each in (port, own):
            until_ready(f"http://127.0.0.1:{each}/ping")
        scripts = {
            who: script(folder / f"{urlsplit(url).port}.lua", url, BODY, "text/csv") for who, url in urls.items()
        }
        loads: dict[str, list[Load]] = {who: [] for who in urls}
        for _ in range(rounds):
            for who, url in urls.items():
                loads[who].append(wrk(url, scripts[who], CLIENTS, seconds, None))
    finally:
        stop(running)
    found = {who: median(each) for who, each in loads.items()}
    return {
        who: {
            "rate": round(load.rate),
            "p50_ms": load.p50,
            "p99_ms": load.p99,
            "times the peer": round(load.rate / found[PEER].rate, 2),
        }
        for who, load in found.items()
    }


def overhead(folder: Path, seconds: int, rounds: int) -> float:
    """Microseconds of CPU time for a request to the model server whose function does nothing."""
    port = free_port()
    bind = {"SAGEMAKER_BIND_TO_PORT": str(port)}
    server = model_server(folder, "nothing", NOTHING, bind)
    try:
        url = f"http://127.0.0.1:{port}/invocations"
        until_ready(f"http://127.0.0.1:{port}/ping")
        time.sleep(1)  # the second worker
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        lua = script(folder / "nothing.lua", url, BODY, "text/csv")
        spent = []
        for _ in range(rounds):
            before = sum(cpu_seconds(int(pid)) for pid in children)
            load = wrk(url, lua, CLIENTS, seconds, None)
            used = sum(cpu_seconds(int(pid)) for pid in children) - before
            spent.append(used / (load.rate * seconds))
        return round(statistics.median(spent) * 1e6, 1)
    finally:
        stop([server])


def main() -> int:
    parser = argparse.ArgumentParser(description="The native model server against nginx, gunicorn and Flask.")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "wildsage-peers")
    options = parser.parse_args()
    missing = [name for name in ("wrk", "nginx") if shutil.which(name) is None]
    if missing:
        print(f"missing: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    install(options.peers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        features, labels = load_iris(return_X_y=True)
        model = LogisticRegression(max_iter=1000).fit(features, labels)
        (folder / "model" / "model.pkl").write_bytes(pickle.dumps(model))
        results = compare(folder, options.peers, options.seconds, options.rounds)
        results["model server's own CPU µs a request"] = overhead(folder, options.seconds, options.rounds)
    told = {"when": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), **results}
    print(json.dumps(told, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Starts the model server from what the environment says.

WILDSAGE_BIND                   ``unix:/path`` to listen on, else TCP SAGEMAKER_BIND_TO_PORT (8080)
WILDSAGE_FRAMEWORK              sklearn, xgboost, pytorch, tensorflow, huggingface, algorithms or triton
WILDSAGE_ALGORITHM              the built-in algorithm that answers where there is no script
WILDSAGE_SERVERLESS_…           see serverless/start.py
SAGEMAKER_MODEL_SERVER_WORKERS  processes; else one for each CPU this container may use
SAGEMAKER_MULTI_MODEL           true: models come and go (``multimodel``), with one process for each unless
                                SAGEMAKER_MODEL_SERVER_WORKERS says more
"""

from __future__ import annotations

import functools
import importlib
import os
import socket
import tempfile
from collections.abc import Callable, Mapping

from . import algorithms, script, supervisor
from .http import Answer, Handle, Request
from .loops import Serving
from .multimodel import learning
from .multimodel.front import Front
from .serverless.start import serve, terms_of
from .triton import start as triton

_FRAMEWORKS = ("sklearn", "xgboost", "pytorch", "tensorflow", "huggingface", "algorithms", "triton")

# What a process that forks one for each model may have imported, and does before the first model comes.
_FORKED = {
    "sklearn": ("numpy", "joblib", "sklearn.base"),
    "xgboost": ("numpy", "xgboost"),
    "pytorch": ("torch",),
    "algorithms": ("numpy",),
}


def main() -> int:
    """Serves until SIGTERM. 1 if the model cannot be loaded (the traceback is then the end of the log)."""
    environ = os.environ
    framework = environ.get("WILDSAGE_FRAMEWORK", "")
    if framework not in _FRAMEWORKS:
        supervisor.log(f"WILDSAGE_FRAMEWORK must be one of {', '.join(_FRAMEWORKS)}, not {framework!r}")
        return 1
    if framework in ("xgboost", "algorithms"):
        environ.setdefault(
            "OMP_NUM_THREADS", "1"
        )  # as the image does: a process for each CPU, a thread for each process
    if framework == "triton":
        return triton.serve(bind(environ), environ, cpus(environ))
    place = script.find(environ)
    status = script.install(place)
    if status:
        return status
    listener = bind(environ)
    if environ.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true":
        return _serve_many(framework, listener, environ)
    terms = terms_of(environ)
    if terms is not None:
        return serve(listener, terms, lambda: _routes(_load(framework, place)))

    def work(parent: int, ready: Callable[[], None]) -> None:
        loop = Serving(listener, parent, _routes(_load(framework, place)))
        ready()
        loop.run()

    return supervisor.Supervisor(workers(environ), work).run()


def _serve_many(framework: str, listener: socket.socket, environ: Mapping[str, str]) -> int:
    """Any number of models, each with the code that all share or that of its own folder."""
    bound = environ.get("WILDSAGE_BIND", "")
    folder = os.path.dirname(bound.removeprefix("unix:")) if bound.startswith("unix:") else tempfile.mkdtemp()

    def load(url: str) -> Callable[[socket.socket, int], Serving]:
        os.environ["SM_MODEL_DIR"] = url
        return functools.partial(Serving, handle=_routes(_load(framework, script.find(os.environ))))

    first = _FORKED.get(framework)
    learning.learn(first or ())
    given = environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "")
    each = int(given) if given.isdigit() and int(given) else 1
    Front(listener, folder, load, each, first is not None, environ).run()
    return 0


def bind(environ: Mapping[str, str]) -> socket.socket:
    """The listening socket; raises OSError."""
    address = environ.get("WILDSAGE_BIND", "")
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(1024)
    else:
        listener = socket.create_server(("0.0.0.0", int(environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), backlog=1024)
    listener.setblocking(False)
    return listener


def workers(environ: Mapping[str, str]) -> int:
    """How many processes hold the model."""
    given = environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "")
    return int(given) if given.isdigit() and int(given) > 0 else cpus(environ)


def cpus(environ: Mapping[str, str]) -> int:
    """How many this container may use."""
    here = len(os.sched_getaffinity(0))
    told = environ.get("SM_NUM_CPUS", "")
    return max(1, min(here, int(told))) if told.isdigit() else here


def _load(framework: str, place: script.Place) -> Handle:
    code = script.load(place)
    algorithm = os.environ.get("WILDSAGE_ALGORITHM", "")
    if code is None and algorithm:
        return algorithms.load(algorithm, place.model)
    module = importlib.import_module(f".frameworks.{framework}", __package__)
    handle: Handle = module.load(code, place.model)
    return handle


def _routes(invoke: Handle) -> Handle:
    """GET /ping and POST /invocations (SageMaker Developer Guide, "Use Your Own Inference Code with Hosting")."""

    def handle(request: Request) -> Answer:
        path = request.target.partition("?")[0]
        if path == "/invocations":
            return invoke(request) if request.method == "POST" else Answer(405, "", b"")
        if path == "/ping":
            return Answer(200, "", b"")
        return Answer(404, "", b"")

    return handle

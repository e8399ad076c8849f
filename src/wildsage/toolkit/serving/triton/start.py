"""Starts Triton's side of the model server, as the image's ``serve`` does (server, ``docker/sagemaker/serve``).

SAGEMAKER_TRITON_DEFAULT_MODEL_NAME  the model that answers at /invocations; needed where there are several
SAGEMAKER_TRITON_ADDITIONAL_ARGS     options of tritonserver: --load-model, and those below
WILDSAGE_TRITON_ENGINE               onnxruntime (the server in this folder), or tritonserver (NVIDIA's own)
"""

from __future__ import annotations

import importlib
import os
import shlex
import socket
import tempfile
from collections.abc import Callable, Mapping
from typing import Protocol

from .. import supervisor
from ..http import Answer, Request
from ..loops import Loop
from ..multimodel import learning
from ..multimodel.front import Front
from ..serverless.start import serve as serve_workers
from ..serverless.start import terms_of

ENGINES = ("onnxruntime", "tritonserver")
_QUIET = ("--log-", "--exit-on-error", "--exit-timeout-secs", "--strict-readiness", "--allow-grpc", "--allow-metrics")


class Served(Protocol):
    """Loaded models, as ``loop.Served`` has them: that is imported only where its framework is."""

    def __call__(self, request: Request) -> Answer: ...

    def loop(self, listener: socket.socket, parent: int) -> Loop: ...


class Misplaced(Exception):
    """What is wrong with the repository or the settings, in words."""


def serve(listener: socket.socket, environ: Mapping[str, str], cpus: int) -> int:
    """Until SIGTERM; the exit status. 1 where the repository or the settings cannot be served, as the log says."""
    engine = environ.get("WILDSAGE_TRITON_ENGINE", "") or ENGINES[0]
    try:
        if engine not in ENGINES:
            raise Misplaced(f"WILDSAGE_TRITON_ENGINE must be one of {', '.join(ENGINES)}, not {engine!r}")
        if engine == "tritonserver":
            return int(importlib.import_module(".nvidia", __package__).serve(listener, environ, cpus))
        models = wanted(environ)
        if environ.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true":
            return _serve_many(listener, environ, cpus)
        folder = place(environ)
        default = default_model(folder, environ)
    except Misplaced as error:
        supervisor.log(f"ERROR: {error}")
        return 1
    terms = terms_of(environ)
    if terms is not None:
        return serve_workers(listener, terms, lambda: _loaded(folder, default, models, cpus))

    def work(parent: int, ready: Callable[[], None]) -> None:
        loop = _loaded(folder, default, models, cpus).loop(listener, parent)
        ready()
        loop.run()

    return supervisor.Supervisor(1, work).run()


def _serve_many(listener: socket.socket, environ: Mapping[str, str], cpus: int) -> int:
    """A process for each model; it takes all that its threads can do at once."""
    bound = environ.get("WILDSAGE_BIND", "")
    folder = os.path.dirname(bound.removeprefix("unix:")) if bound.startswith("unix:") else tempfile.mkdtemp()
    learning.learn(("numpy", "onnxruntime"))
    Front(listener, folder, lambda url: load(url, only_model(url), (), cpus).loop, 1, False, environ).run()
    return 0


def place(environ: Mapping[str, str]) -> str:
    """The model repository."""
    return environ.get("SM_MODEL_DIR") or f"{environ.get('SAGEMAKER_BASE_DIR', '/opt/ml')}/model"


def default_model(folder: str, environ: Mapping[str, str]) -> str:
    """The model that is loaded, and answers at /invocations; raises Misplaced in the image's words."""
    if os.path.isfile(os.path.join(folder, "config.pbtxt")):
        raise Misplaced(
            "Incorrect directory structure. Model directory needs to contain the top level folder: model.tar.gz holds "
            "MODEL/config.pbtxt and MODEL/1/model.onnx, not the model's files alone."
        )
    name = environ.get("SAGEMAKER_TRITON_DEFAULT_MODEL_NAME", "")
    there = sorted(each.name for each in os.scandir(folder) if each.is_dir()) if os.path.isdir(folder) else []
    if name:
        if name not in there:
            raise Misplaced(
                f"Directory with provided SAGEMAKER_TRITON_DEFAULT_MODEL_NAME {name} does not exist: the model "
                f"repository has {', '.join(there) or 'no folders'}"
            )
        return name
    if not there:
        raise Misplaced("No model found in model repository")
    if len(there) > 1:
        raise Misplaced(
            "More than 1 model directory found in model repository. Either provide a single directory or set "
            f"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME. Directories found in model repository: {' '.join(there)}"
        )
    return there[0]


def only_model(folder: str) -> str:
    """Of a multi-model endpoint's archive: its only folder, or "" where the archive is the model's own folder."""
    if os.path.isfile(os.path.join(folder, "config.pbtxt")):
        return ""
    there = sorted(each.name for each in os.scandir(folder) if each.is_dir())
    if len(there) != 1 or there[0].isdigit():
        if there and all(each.isdigit() for each in there):
            raise Misplaced("A model without a config.pbtxt must have its versions in a folder of its own.")
        raise Misplaced(f"The archive must hold one model's folder, not {len(there)}: {' '.join(there)}")
    return there[0]


def wanted(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The models that are to be loaded beside the default one; raises Misplaced for what cannot be set here."""
    kind = environ.get("SAGEMAKER_TRITON_INFERENCE_TYPE", "") or "infer"
    if kind != "infer":
        raise Misplaced(f"SAGEMAKER_TRITON_INFERENCE_TYPE {kind!r} is not served here, only 'infer'.")
    names = []
    words = shlex.split(environ.get("SAGEMAKER_TRITON_ADDITIONAL_ARGS", ""))
    for word in words:
        option, _, value = word.partition("=")
        if option == "--load-model" and value and value != "*":
            names.append(value)
        elif not option.startswith(_QUIET):
            raise Misplaced(
                f"SAGEMAKER_TRITON_ADDITIONAL_ARGS: {word} has no meaning here; --load-model=NAME has. NVIDIA's own "
                "server knows all: install nvidia-pytriton and set WILDSAGE_TRITON_ENGINE to tritonserver."
            )
    return tuple(names)


def load(folder: str, default: str, others: tuple[str, ...], cpus: int) -> Served:
    """Loads the models; raises ConfigError for one that cannot be."""
    loop = importlib.import_module(".loop", __package__)
    repository = importlib.import_module(".repository", __package__)
    service = importlib.import_module(".service", __package__)
    mailbox = loop.Mailbox()
    models = repository.Repository(folder, cpus, mailbox.put, supervisor.log)
    for name in (default, *others):
        models.load(name)
    served: Served = loop.Served(service.Service(models, default), mailbox)
    return served


def _loaded(folder: str, default: str, others: tuple[str, ...], cpus: int) -> Served:
    """As ``load``; ends the process in words, without a traceback, where a model cannot be loaded."""
    try:
        return load(folder, default, others, cpus)
    except importlib.import_module(".config", __package__).ConfigError as error:
        supervisor.log(f"ERROR: failed to load the model: {error}")
        raise SystemExit(1) from None

"""The addresses: what SageMaker asks for, and the V2 protocol (KServe's, with Triton's extensions).

``/invocations`` is what Triton's own SageMaker server makes of it (triton-inference-server/server,
``src/sagemaker_server.cc``): every error is a 400 there. What comes of ``begin`` may be answered later, by ``finish``.
"""

from __future__ import annotations

import gzip
import json
import re
import traceback
import urllib.parse
import zlib
from typing import Any, NamedTuple, Union

from ..http import Answer, Request
from . import protocol
from .batching import Job, Outcome, Scheduler
from .config import PLATFORM, ConfigError
from .protocol import Asked, BadRequest
from .repository import NotServed, Repository, Version
from .session import described
from .tensors import TensorError

_JSON, _OCTETS = "application/json", "application/octet-stream"
_MIME = "application/vnd.sagemaker-triton.binary+json;json-header-size="
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([0-9]{1,18}))?(?:/(infer|ready|config|stats))?")
_CONTROL = re.compile(r"/v2/repository(?:/[^/]+)?/models/([^/]+)/(load|unload)")
_INDEX = re.compile(r"/v2/repository(?:/[^/]+)?/index")
_ELSEWHERE = (
    (re.compile(r"/v2/(system|cuda)sharedmemory(/.*)?"), "There is no shared memory with clients here."),
    (re.compile(r"/v2/(trace/setting|logging)|/v2/models/.+/trace/setting"), "Traces and logs have no settings here."),
    (re.compile(r"/v2/models/.+/generate(_stream)?"), "Requests are sent to /infer here."),
)
EXTENSIONS = ("classification", "model_repository", "model_configuration", "statistics", "binary_tensor_data")
_MOST_INFLATED = 1 << 30


class Asker(NamedTuple):
    """Whose job it is. ``sagemaker``: asked at /invocations. ``name``: what the model is called in the answer."""

    asked: Asked
    version: Version
    sagemaker: bool
    name: str
    encoding: str


class Ordered(NamedTuple):
    """A request that is to be run."""

    scheduler: Scheduler
    job: Job


class _Failed(Exception):
    def __init__(self, status: int, words: str, extra: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.extra = extra


Begun = Union[Answer, Ordered]  # noqa: UP007 - Python 3.9


class Service:
    """``default``: the model that answers at /invocations."""

    def __init__(self, repository: Repository, default: str) -> None:
        self._repository = repository
        self._default = default

    def begin(self, request: Request) -> Begun:
        """Never raises: no request ends the server."""
        try:
            return self._begin(request)
        except Exception:  # a fault of ours, whatever it is
            return _unforeseen()

    def finish(self, job: Job, outcome: Outcome) -> Answer:
        """The answer to a job of ``begin``. Never raises."""
        try:
            return self._finish(job, outcome)
        except Exception:  # a fault of ours, whatever it is
            return _unforeseen()

    def _begin(self, request: Request) -> Begun:
        path = request.target.partition("?")[0]
        try:
            if path == "/invocations":
                return self._invoke(request)
            return self._v2(request, path)
        except _Failed as error:
            return _error(error.status, str(error), error.extra)
        except NotServed as error:
            return _error(error.status, str(error))
        except (BadRequest, TensorError, ConfigError) as error:
            return _error(400, str(error))

    def _finish(self, job: Job, outcome: Outcome) -> Answer:
        asker: Asker = job.asker
        if isinstance(outcome, Exception):
            identity = asker.asked.id or "<id_unknown>"
            return _error(400 if asker.sagemaker else 500, f"[request id: {identity}] onnx runtime: {outcome}")
        try:
            head, rest = protocol.write(asker.version, asker.asked, outcome, asker.name)
        except TensorError as error:
            return _error(400, str(error))
        body, extra = head + rest, ""
        kind = _JSON
        if rest:
            kind = f"{_MIME}{len(head)}" if asker.sagemaker else _OCTETS
            extra = "" if asker.sagemaker else f"inference-header-content-length: {len(head)}\r\n"
        if asker.encoding:
            body = gzip.compress(body, 1) if asker.encoding == "gzip" else zlib.compress(body, 1)
            extra += f"content-encoding: {asker.encoding}\r\n"
        return Answer(200, kind, body, extra)

    # inference

    def _invoke(self, request: Request) -> Begun:
        if request.method != "POST":
            raise _Failed(405, "POST requests to /invocations")
        length = None
        kind = request.headers.get("content-type", "")
        if _MIME in kind:
            length = _length(kind[len(_MIME) :] if kind.startswith(_MIME) else "", kind)
        try:
            version = self._repository.find(self._default)
        except NotServed as error:
            raise _Failed(400, str(error)) from None
        called = request.headers.get("x-amzn-sagemaker-target-model") or version.config.name
        return self._order(request, version, length, True, called)

    def _infer(self, request: Request, version: Version) -> Begun:
        given = request.headers.get("inference-header-content-length")
        length = None if given is None else _length(given, given)
        return self._order(request, version, length, False, version.config.name)

    def _order(self, request: Request, version: Version, length: int | None, sagemaker: bool, name: str) -> Ordered:
        body = request.body
        encoding = request.headers.get("content-encoding", "")
        if encoding and encoding != "identity":
            body = _inflated(body, encoding)
        if length is not None and not 0 <= length <= len(body):
            raise BadRequest(f"inference header size should be in range (0, {len(body)}), got: {length}")
        asked = protocol.read(version, body, length)
        accepted = request.headers.get("accept-encoding", "")
        answered = "" if sagemaker or not accepted else _encoding(accepted)
        job = Job(
            asked.feeds,
            asked.rows,
            [each.name for each in asked.outputs],
            Asker(asked, version, sagemaker, name, answered),
        )
        return Ordered(version.scheduler, job)

    # everything else

    def _v2(self, request: Request, path: str) -> Begun:
        if (match := _MODEL.fullmatch(path)) is not None and path != "/v2/models/stats":
            name = urllib.parse.unquote(match[1])
            return self._model(request, name, match[2] or "", match[3] or "")
        if path == "/ping":
            return Answer(200 if self._ready(self._default, "") else 503, "", b"")
        if path in ("/v2/health/live", "/v2/health/ready"):
            return Answer(200, "", b"")
        if path in ("/v2", "/v2/"):
            return _json({"name": "triton", "version": "wildsage", "extensions": list(EXTENSIONS)})
        if path == "/v2/models/stats":
            return _json({"model_stats": [_counted(each) for each in self._repository.loaded()]})
        if _INDEX.fullmatch(path):
            return _json(self._repository.index(_document(request).get("ready", False) is True))
        if (match := _CONTROL.fullmatch(path)) is not None:
            return self._control(request, urllib.parse.unquote(match[1]), match[2])
        for pattern, words in _ELSEWHERE:
            if pattern.fullmatch(path):
                raise _Failed(501, words)
        raise _Failed(404, f"There is nothing at {path[:200]}.")

    def _model(self, request: Request, name: str, number: str, what: str) -> Begun:
        if what == "ready":
            return Answer(200 if self._ready(name, number) else 400, "", b"")
        version = self._repository.find(name, number)
        if what == "infer":
            if request.method != "POST":
                raise _Failed(405, "POST requests to /infer")
            return self._infer(request, version)
        if what == "config":
            return _json(described(version.config))
        if what == "stats":
            numbers = [number] if number else self._repository.numbers(name)
            return _json({"model_stats": [_counted(self._repository.find(name, each)) for each in numbers]})
        config = version.config
        first = [-1] if config.max_batch_size else []
        shown = {
            kind: [{"name": each.name, "datatype": each.datatype, "shape": [*first, *each.dims]} for each in tensors]
            for kind, tensors in (("inputs", config.inputs), ("outputs", config.outputs))
        }
        return _json({"name": config.name, "versions": self._repository.numbers(name), "platform": PLATFORM, **shown})

    def _control(self, request: Request, name: str, what: str) -> Answer:
        if request.method != "POST":
            raise _Failed(405, f"POST requests to /{what}")
        given = _document(request).get("parameters")
        if what == "load" and given:
            raise _Failed(501, "Models are loaded as their folders are; parameters cannot be given.")
        if what == "load":
            self._repository.load(name)
        else:
            self._repository.unload(name)
        return Answer(200, "", b"")

    def _ready(self, name: str, number: str) -> bool:
        try:
            self._repository.find(name, number)
        except NotServed:
            return False
        return True


def _counted(version: Version) -> dict[str, Any]:
    return version.scheduler.statistics.shown(version.config.name, version.number)


def _document(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"failed to parse the request JSON buffer: {error}") from None
    if not isinstance(found, dict):
        raise BadRequest("failed to parse the request JSON buffer: it is not an object")
    return found


def _length(text: str, given: str) -> int:
    if not (text.isascii() and text.strip().isdigit()) or len(text) > 12:
        raise BadRequest(f"Unable to parse inference header size, got: {given[:200]}")
    return int(text)


def _inflated(body: bytes, encoding: str) -> bytes:
    if encoding not in ("gzip", "deflate"):
        raise _Failed(415, f"unsupported Content-Encoding {encoding[:100]}", "accept-encoding: gzip, deflate\r\n")
    inflater = zlib.decompressobj(31 if encoding == "gzip" else 15)
    try:
        found = inflater.decompress(body, _MOST_INFLATED)
    except zlib.error as error:
        raise BadRequest(f"failed to decompress the {encoding} body: {error}") from None
    if not inflater.eof:
        raise BadRequest(f"failed to decompress the {encoding} body: it is cut off, or too long")
    return found


def _encoding(accepted: str) -> str:
    """Of gzip and deflate the one that is asked for most; empty for neither."""
    best, weight = "", 0.0
    for each in accepted.split(","):
        name, _, quality = each.strip().partition(";q=")
        try:
            given = float(quality or 1)
        except ValueError:
            continue
        if name in ("gzip", "deflate", "identity") and given > weight:
            best, weight = "" if name == "identity" else name, given
    return best


def _unforeseen() -> Answer:
    traceback.print_exc()
    return _error(500, "The server failed unexpectedly; its log has the traceback.")


def _json(what: object) -> Answer:
    return Answer(200, _JSON, json.dumps(what).encode())


def _error(status: int, words: str, extra: str = "") -> Answer:
    return Answer(status, _JSON, json.dumps({"error": words}).encode(), extra)

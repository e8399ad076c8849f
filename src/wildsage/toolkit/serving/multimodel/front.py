"""The container's own server: loads, lists, unloads. It answers /ping at all times and waits for no model.

    GET    /ping
    POST   /models                {"model_name": …, "url": …}   200, 409 (it is loaded), 507 (no memory), 500 (in words)
    GET    /models                {"models": [{"modelName": …, "modelUrl": …}, …]}
    GET    /models/NAME           200, 404
    DELETE /models/NAME           200 once its memory is free, 404
    POST   /models/NAME/invoke    the model's answer, 404

What the contract does not have: a shown model's ``wildsageSocket`` is the name of the socket, beside this server's, at
which the model itself answers POST /invocations; so that a request need not pass through here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from .. import children
from ..http import Answer, Connection, Request
from ..loops import Loop
from ..supervisor import log
from . import learning, model
from .memory import Memory
from .model import Load, Model
from .relay import Relay, connected

_STOP_SECONDS = 30


class Front(Loop):
    """Serves ``listener`` until SIGTERM. ``folder``: where the sockets of models are. ``workers``: processes for each.

    ``learns``: what models import is imported here for those to come; not for frameworks that must not be forked then.
    """

    def __init__(
        self,
        listener: socket.socket,
        folder: str,
        load: Load,
        workers: int,
        learns: bool,
        environ: Mapping[str, str],
    ) -> None:
        self._lifeline = os.pipe()  # models see its end when this process is gone; nothing is ever written to it
        super().__init__(listener, self._lifeline[0])
        self._origin = model.Front(folder, load, workers, self._let_go, self._lifeline[0])
        self._learns = learns
        self._memory = Memory(environ)
        self._models: dict[str, Model] = {}
        signal.signal(signal.SIGCHLD, children.noticed)

    def run(self) -> None:
        super().run()
        for each in self._models.values():
            os.kill(each.pid, signal.SIGTERM)
        signal.signal(signal.SIGALRM, self._kill)
        signal.alarm(_STOP_SECONDS)
        for each in self._models.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each.pid, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    def _kill(self, number: int, frame: object) -> None:
        for each in self._models.values():
            os.kill(each.pid, signal.SIGKILL)

    # requests

    def _answered(self, connection: Connection, request: Request) -> Answer | None:
        path = request.target.partition("?")[0]
        method = request.method
        if path == "/ping":
            return Answer(200, "", b"")
        if path == "/models":
            if method == "POST":
                return self._start(connection, request)
            return _json(200, {"models": [each.shown() for each in self._models.values() if each.loaded]})
        parts = path.split("/")
        if path.startswith("/models/") and (len(parts) == 3 or (len(parts) == 4 and parts[3] == "invoke")):
            name = urllib.parse.unquote(parts[2])
            known = self._models.get(name)
            if known is None or not known.loaded:
                return _error(404, "ModelNotFoundException", f"Model {name} is not loaded.")
            return self._of_model(connection, request, known, invoke=len(parts) == 4)
        words = f"There is nothing at {path[:200]}; this container serves many models: POST /models/NAME/invoke."
        return _error(404, "ResourceNotFoundException", words)

    def _of_model(self, connection: Connection, request: Request, known: Model, invoke: bool) -> Answer | None:
        if invoke and request.method == "POST":
            sock = connected(known.address)
            if sock is None:
                words = f"The process of model {known.name} cannot be reached."
                return _error(503, "ServiceUnavailableException", words)
            Relay(self, connection, sock, request)
            return None
        if not invoke and request.method == "DELETE":
            known.loaded = False
            known.unloading.append(connection)
            os.kill(known.pid, signal.SIGTERM)
            return None
        if not invoke and request.method == "GET":
            return _json(200, known.shown())
        return _error(405, "MethodNotAllowedException", f"{request.method} is not answered here.")

    def _start(self, connection: Connection, request: Request) -> Answer | None:
        try:
            wanted = json.loads(request.body)
            name, url = str(wanted["model_name"]), str(wanted["url"])
        except (ValueError, TypeError, KeyError):
            return _error(400, "BadRequestException", "The body must be JSON with model_name and url.")
        known = self._models.get(name)
        if known is not None and known.loaded:
            return _json(409, known.shown())
        if known is not None and not known.unloading:
            known.waiting.append(connection)
            return None
        if known is not None or not self._memory.has_room(self._models.values()):
            return _error(507, "InsufficientMemoryException", f"There is no memory for {name}.")
        try:
            started = model.start(self._origin, name, url)
        except OSError as error:  # as many processes as there may be, or no memory for another
            return _error(507, "InsufficientMemoryException", f"There is no process for {name}: {error.strerror}.")
        started.waiting.append(connection)
        self._models[name] = started
        self.watch(started.report, self._report_of(started))
        return None

    def _let_go(self) -> None:
        """In a model's process: nothing of this one is its own."""
        self._poll.close()
        self._listener.close()
        os.close(self._lifeline[1])
        for connection in self._connections.values():
            connection.sock.close()
        for descriptor in self._watched:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    # models

    def _report_of(self, known: Model) -> Callable[[], None]:
        def attend() -> None:
            data = os.read(known.report, 1 << 20)
            known.told += data
            if not data or data.endswith(b"\n"):
                self._heard(known)

        return attend

    def _heard(self, known: Model) -> None:
        """All that its process will ever tell; its pipe need not end, since what loading forked holds it as well."""
        self.unwatch(known.report)
        os.close(known.report)
        self._told(known, _read(known.told))

    def _told(self, known: Model, said: Mapping[str, Any]) -> None:
        """A model is loaded, or will never be."""
        if "private" not in said:
            words = said.get("error") or "The process that loaded it ended before it had."
            self._forget(known, _error(500, "InternalServerException", f"The model could not be loaded. {words}"))
            return
        known.private = said["private"]
        if self._memory.exceeded(self._models.values()):
            os.kill(known.pid, signal.SIGKILL)
            self._forget(known, _error(507, "InsufficientMemoryException", f"There is no memory for {known.name}."))
            return
        known.loaded = True
        self._answer_all(known, _json(200, known.shown()))
        if self._learns and learning.learn(said["modules"]):
            log("what this model imports is in memory for those to come")

    def _forget(self, known: Model, answer: Answer) -> None:
        if self._models.get(known.name) is known:
            del self._models[known.name]
        self._answer_all(known, answer)

    def _answer_all(self, known: Model, answer: Answer) -> None:
        waiting, known.waiting = known.waiting, []
        for connection in waiting:
            self.answer_later(connection, answer)

    def _signalled(self, numbers: bytes) -> None:
        for pid, code in children.ended():
            for known in list(self._models.values()):
                if known.pid == pid:
                    if not known.loaded and not known.unloading:
                        self._hear_last(known)
                    if known.loaded or known.unloading:
                        self._gone(known, code)

    def _hear_last(self, known: Model) -> None:
        """Of a process that has ended before it was heard."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(known.report, 1 << 20):
                known.told += data
        self._heard(known)

    def _gone(self, known: Model, code: int) -> None:
        del self._models[known.name]
        if not known.unloading:
            log(f"the process of model {known.name} {children.told(code)}; it is loaded again when it is asked for")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(known.address)
        waiting, known.unloading = known.unloading, []
        for connection in waiting:
            self.answer_later(connection, _json(200, {"status": "unloaded"}))


def _read(told: bytes) -> dict[str, Any]:
    """What a model's process has told; empty if it ended before that was whole."""
    try:
        found: dict[str, Any] = json.loads(told)
    except ValueError:
        return {}
    return found


def _json(status: int, what: object) -> Answer:
    return Answer(status, "application/json", json.dumps(what).encode())


def _error(status: int, kind: str, words: str) -> Answer:
    """In the form of multi-model-server's errors."""
    return _json(status, {"code": status, "type": kind, "message": words})

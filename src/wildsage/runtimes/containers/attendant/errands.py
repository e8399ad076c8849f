"""Errands: what takes root, done for the attendants of ordinary users in containers of the engine's.

Whoever may use the engine's socket may have it do anything as root, so an errand gives nobody what he had not; but it
has no more of root than it needs. Its root is empty, no job's image has a part in it: the machine's own Python and this
package are all there is to see, read-only. It removes itself when it has ended.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from wildsage.runtimes.containers.api import Answer, Api, EngineError
from wildsage.runtimes.containers.attendant.making import quoted, remove_container

IMAGE = "wildsage/empty:latest"
"""Nothing at all: made in the engine by the first errand, shared by all, and as easily removed again."""

_EMPTY_ARCHIVE = bytes(1024)
_HEADER = 8  # bytes before each piece of what a container says
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
_SYSTEM = ("/usr", "/lib", "/lib64", "/nix/store", "/gnu/store")
_LIBRARIES = "/etc/ld.so.cache"
_MAIN = "import sys; sys.path.append(sys.argv[1]); from wildsage.runtimes.containers.attendant.{0} import main; main()"

Document = dict[str, Any]


class Errand:
    """One to be done for the container ``name``, whose folder is ``directory``.

    ``kind``: one of ``making.ERRANDS``. ``module``: of this package; its ``main`` is what runs.
    """

    def __init__(self, api: Api, name: str, directory: str, kind: str, module: str, arguments: tuple[str, ...]) -> None:
        self._api = api
        self._name = f"{name}-{kind}"
        self._directory = directory
        self._command = [_PYTHON, "-I", "-S", "-W", "ignore", "-c", _MAIN.format(module), os.path.dirname(_PACKAGE)]
        self._command += arguments

    def start(self, mounts: list[Document], host: Document) -> Answer:
        """``host``: what of the engine's HostConfig it has besides. Returns what it will say, for ``said``.

        Raises EngineGone, EngineError.
        """
        document = {
            "Image": IMAGE,
            "Entrypoint": self._command,
            "User": "0:0",
            "Labels": {"wildsage.directory": self._directory},
            "HostConfig": {
                "AutoRemove": True,
                "CapDrop": ["ALL"],
                "LogConfig": {"Type": "none"},
                "Mounts": [*_program(), *mounts],
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "UsernsMode": "host",
                **host,
            },
        }
        made = self._make(document)
        output = self._api.open(
            "POST",
            f"/containers/{made}/attach?stream=1&stdout=1&stderr=1",
            headers={"Upgrade": "tcp", "Connection": "Upgrade"},
        )
        try:
            self._api.call("POST", f"/containers/{made}/start")
        except BaseException:
            output.close()
            remove_container(self._api, made)
            raise
        return output

    def _make(self, document: Document) -> str:
        for _ in range(2):
            try:
                return self._created(document)
            except EngineError as error:
                if error.status == 404:
                    _import(self._api)
                elif error.status == 409:
                    remove_container(self._api, self._name)  # of somebody who was killed over it
                else:
                    raise
        return self._created(document)

    def _created(self, document: Document) -> str:
        made: str = self._api.call("POST", f"/containers/create?name={self._name}", document)["Id"]
        return made

    def said(self, output: Answer) -> str:
        """What it says until it ends. Raises EngineGone if the engine went away meanwhile."""
        text = bytearray()
        while len(head := output.read(_HEADER)) == _HEADER:
            text += output.read(int.from_bytes(head[4:], "big"))
        output.close()
        self._api.call("GET", "/version")
        return text.decode("utf-8", "replace").strip()


def failed(text: str) -> EngineError:
    """For one that ended saying that instead of doing what it was to do."""
    said = f"failed: {text.splitlines()[-1]}" if text else "was killed"
    return EngineError(500, f"a container that does what takes root {said}")


def bind(source: str, target: str, read_only: bool = True) -> Document:
    """A folder or file of the machine's in an errand; not what is mounted below it, if it may be written."""
    options = {} if read_only else {"BindOptions": {"NonRecursive": True}}
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only, **options}


def _program() -> list[Document]:
    """What the machine's Python needs to run, at its own place."""
    found: list[str] = []
    for folder in (*_SYSTEM, os.path.dirname(os.path.dirname(_PYTHON)), os.path.realpath(sys.base_prefix), _PACKAGE):
        covered = any(f"{folder}/".startswith(f"{each}/") for each in found)
        if folder != "/" and os.path.isdir(folder) and not covered:
            found.append(folder)
    return [bind(each, each) for each in (*found, *filter(os.path.exists, [_LIBRARIES]))]


def _import(api: Api) -> None:
    repository, _, tag = IMAGE.partition(":")
    query = f"fromSrc=-&repo={quoted(repository)}&tag={tag}"
    answer = api.open("POST", f"/images/create?{query}", _EMPTY_ARCHIVE, {"Content-Type": "application/x-tar"})
    said = answer.body()
    answer.close()
    if b'"error"' in said:
        raise EngineError(500, f"it cannot make an empty image: {said.decode('utf-8', 'replace').strip()}")

"""The models of a repository (``MODEL/config.pbtxt``, ``MODEL/VERSION/model.onnx``): loaded, listed, unloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from . import config as configuration
from .batching import Finished, Scheduler
from .config import Config, ConfigError, Tensor
from .session import Session, model_file

Log = Callable[[str], None]


class NotServed(Exception):
    """``status``: 404 for a model that is not there, 503 for one that is not loaded."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Version:
    """A version of a model that can be asked. ``inputs`` by their names; ``labels`` by those of outputs.

    ``plans``: what protocol.py remembers of requests.
    """

    def __init__(self, number: int, config: Config, scheduler: Scheduler, labels: dict[str, list[str]]) -> None:
        self.number = str(number)
        self.config = config
        self.scheduler = scheduler
        self.inputs: dict[str, Tensor] = {each.name: each for each in config.inputs}
        self.outputs: dict[str, Tensor] = {each.name: each for each in config.outputs}
        self.labels = labels
        self.plans: dict[bytes, Any] = {}


class _Model(NamedTuple):
    """``known``: the numbers of versions that were loaded or tried → why one is not ready, empty for those that are."""

    versions: dict[int, Version]
    known: dict[int, str]


class Repository:
    """``cpus``: for all threads of a model. ``finished``: see Scheduler. ``log``: lines for the container's log."""

    def __init__(self, folder: str, cpus: int, finished: Finished, log: Log) -> None:
        self._folder = folder
        self._cpus = cpus
        self._finished = finished
        self._log = log
        self._models: dict[str, _Model] = {}
        # An archive of a multi-model endpoint may be the model's own folder.
        self._alone = os.path.isfile(os.path.join(folder, "config.pbtxt"))

    def names(self) -> list[str]:
        """Of the models in the folder, loaded or not."""
        if self._alone:
            return [""]
        with os.scandir(self._folder) as entries:
            return sorted(each.name for each in entries if each.is_dir() and not each.name.startswith("."))

    def load(self, name: str) -> None:
        """Loads it, or loads it anew; raises ConfigError, after which what was loaded before still is."""
        folder = os.path.join(self._folder, name)
        if os.sep in name or name in (".", "..") or not os.path.isdir(folder):
            raise ConfigError(f"failed to load '{name}', there is no such folder in the model repository")
        config = configuration.load(folder, name)
        numbers = versions(folder, config)
        loaded: dict[int, Version] = {}
        try:
            for number in numbers:
                loaded[number] = self._version(folder, config, number)
        except BaseException:
            _close(loaded)
            raise
        before = self._models.get(name)
        self._models[name] = _Model(loaded, dict.fromkeys(loaded, ""))
        if before is not None:
            _close(before.versions)

    def unload(self, name: str) -> None:
        """Once its requests are done; raises NotServed."""
        model = self._models.get(name)
        if model is None or not model.versions:
            raise NotServed(404, f"failed to unload '{name}', it is not loaded")
        self._models[name] = _Model({}, dict.fromkeys(model.known, "unloaded"))
        _close(model.versions)

    def find(self, name: str, number: str = "") -> Version:
        """That version, or the highest; raises NotServed."""
        model = self._models.get(name)
        if model is None:
            raise NotServed(404, f"Request for unknown model: '{name}' is not found")
        if not model.versions:
            raise NotServed(404, f"Request for unknown model: '{name}' has no available versions")
        version = model.versions.get(int(number)) if number else model.versions[max(model.versions)]
        if version is None:
            raise NotServed(404, f"Request for unknown model: '{name}' version {number} is not found")
        return version

    def loaded(self) -> list[Version]:
        return [version for model in self._models.values() for version in model.versions.values()]

    def numbers(self, name: str) -> list[str]:
        """The versions that are loaded."""
        return [str(number) for number in sorted(self._models[name].versions)]

    def index(self, ready: bool) -> list[dict[str, Any]]:
        """As the repository extension shows it; ``ready``: of loaded ones alone."""
        shown: list[dict[str, Any]] = []
        for name in self.names():
            model = self._models.get(name)
            if model is None and not ready:
                shown.append({"name": name})
            for number, why in sorted(model.known.items()) if model is not None else ():
                if not why or not ready:
                    state = "UNAVAILABLE" if why else "READY"
                    shown.append({"name": name, "version": str(number), "state": state, "reason": why})
        return shown

    def _version(self, folder: str, config: Config, number: int) -> Version:
        session = Session(config, model_file(os.path.join(folder, str(number)), config), self._cpus)
        for note in session.notes:
            self._log(note)
        labels = {each.name: _labels(folder, each.labels) for each in session.config.outputs if each.labels}
        self._log(f"model {session.config.name!r} version {number} is loaded: {_told(session.config)}")
        return Version(number, session.config, Scheduler(session.config, session.run, self._finished), labels)


def versions(folder: str, config: Config) -> list[int]:
    """The numbers that the policy takes of those there are; raises ConfigError."""
    there = sorted(int(name) for name in os.listdir(folder) if name.isdigit() and str(int(name)) == name)
    kind, *given = config.versions
    if kind == "latest":
        chosen = there[-given[0] :]
    elif kind == "specific":
        if missing := sorted(set(given) - set(there)):
            raise ConfigError(f"{config.path}: version {missing[0]} of model '{config.name}' is not in its folder")
        chosen = sorted(set(given))
    else:
        chosen = there
    if not chosen:
        raise ConfigError(
            f"at least one version must be available under the version policy of model '{config.name}': {folder} needs "
            f"a folder such as 1 with {config.file} in it"
        )
    return chosen


def _labels(folder: str, name: str) -> list[str]:
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        raise ConfigError(f"{folder}: the label_filename {name!r} is not there")
    with open(path, encoding="utf-8", errors="replace") as lines:
        return [line.rstrip("\r\n") for line in lines]


def _told(config: Config) -> str:
    batching = config.batching
    if not config.max_batch_size or batching is None:
        how = "no dynamic batching"
    else:
        how = f"dynamic batching up to {config.max_batch_size} rows, waiting at most {batching.delay * 1e6:.0f} us"
    return f"{config.instances} instance(s), {how}"


def _close(loaded: dict[int, Version]) -> None:
    for version in loaded.values():
        version.scheduler.close()

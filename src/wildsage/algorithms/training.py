"""What the training jobs of Amazon's algorithm framework have in common, around the algorithm itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from . import channels, gathering, hyperparameters
from .channels import Accepted
from .errors import CustomerError
from .formats.tables import Array, Table
from .hyperparameters import Declared
from .job import Job
from .logs import Log


class Training(NamedTuple):
    """All that an algorithm's ``fit`` is given. ``data``: channel → its table, ``train`` among them."""

    job: Job
    log: Log
    values: Mapping[str, Any]
    data: Mapping[str, Table]

    @property
    def train(self) -> Table:
        return self.data["train"]

    def labelled(self, channel: str) -> tuple[Array, Array]:
        """Features and labels. Raises CustomerError where there are no labels."""
        features, labels = self.data[channel]
        if labels is None:
            raise CustomerError(f"The records of channel '{channel}' have no label, which this algorithm needs.")
        return features, labels


class Algorithm(NamedTuple):
    """One algorithm. ``dimension``: its name in ``#metrics`` lines; ``inert``: hyperparameters that steer how AWS's
    distributed solver gets to its result, and here, where the library solves the problem as a whole, change nothing.

    ``fit(training)`` writes the model and the quality metrics.
    """

    dimension: str
    declared: Declared
    accepted: Mapping[str, Accepted]
    fit: Callable[[Training], None]
    inert: tuple[str, ...] = ()
    resource: str = "default-input.json"


def run(algorithm: Algorithm, job: Job) -> None:
    """Trains. Raises CustomerError for what the caller can cure."""
    log = Log(job.host, algorithm.dimension)
    values = _configured(algorithm, job, log)
    channels.check(algorithm.accepted, job.channels)
    log.line("Using default worker.")
    data = _read(algorithm, job, log, values)
    setup = time.time() - log.started
    if not gathering.leads(job):
        gathering.give(job, data)
        log.finish(setup)
        return
    shares = gathering.Gathering(job)
    data = shares.take(data)
    began = time.time()
    algorithm.fit(Training(job, log, values, data))
    seconds = time.time() - began
    log.metrics(began, {"update.time": seconds * 1000})
    log.progress(100.0)
    log.throughput(len(data["train"].features), seconds)
    if "test" not in data:
        log.line("Test data is not provided.")
    shares.finish()
    log.finish(setup)


def _configured(algorithm: Algorithm, job: Job, log: Log) -> Mapping[str, Any]:
    defaults = hyperparameters.defaults(algorithm.declared)
    log.line(f"Reading default configuration from {algorithm.resource}: {json.dumps(defaults)}")
    log.line(
        f"Merging with provided configuration from {job.base}/input/config/hyperparameters.json: "
        f"{json.dumps(job.hyperparameters)}"
    )
    log.line(f"Final configuration: {json.dumps({**defaults, **job.hyperparameters})}")
    values = hyperparameters.check(algorithm.declared, job.hyperparameters)
    idle = [name for name in algorithm.inert if name in job.hyperparameters]
    if idle:
        log.line(f"The problem is solved as a whole, so these change nothing here: {', '.join(idle)}.", "WARNING")
    return values


def _read(algorithm: Algorithm, job: Job, log: Log, values: Mapping[str, Any]) -> dict[str, Table]:
    data = {}
    for name, rule in algorithm.accepted.items():
        if name not in job.channels:
            continue
        table = channels.read(job.channels[name], rule)
        channels.check_width(table, name, values.get("feature_dim"))
        log.line(f"{len(table.features)} record(s) with {table.features.shape[1]} feature(s) read from '{name}'.")
        data[name] = table
    widths = {name: table.features.shape[1] for name, table in data.items()}
    if len(set(widths.values())) > 1:
        raise CustomerError(f"The channels have different numbers of features: {json.dumps(widths)}")
    return data

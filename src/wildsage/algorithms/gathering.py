"""Jobs on several instances: the first gathers what the others were given a share of, and trains on all of it.

The libraries solve the problem as a whole, so the model is the one that a single instance would have found. Of a
channel that is fully replicated the first has everything already. The network is the job's own: whoever sends may.
"""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import CustomerError
from .formats import tables
from .formats.tables import Table
from .job import Job

PORT = 7778
"""Where the first instance listens for the others."""
_PATIENCE = 3600.0  # seconds for all instances to have read their data
_PAUSE = 0.05
_DONE = b"1"
_SHARDED = "ShardedByS3Key"


def leads(job: Job) -> bool:
    """Whether this instance trains."""
    return job.host == job.hosts[0]


def give(job: Job, data: Mapping[str, Table]) -> None:
    """Sends this instance's shares to the first; returns once that has trained."""
    arrays: dict[str, Any] = {}
    for name, table in data.items():
        if job.channels[name].distribution == _SHARDED:
            arrays[f"{name}/features"] = table.features
            if table.labels is not None:
                arrays[f"{name}/labels"] = table.labels
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    with reach(job.hosts[0]) as connection:
        head = {"host": job.host, "bytes": packed.tell()}
        connection.sendall(json.dumps(head).encode() + b"\n" + packed.getbuffer())
        if connection.recv(1) != _DONE:
            time.sleep(_PATIENCE)  # the first has failed, which is the job's failure, and this one is told to end


def reach(host: str) -> socket.socket:
    """A connection, as soon as somebody listens there."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            connection = socket.create_connection((host, PORT), 10)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            connection.settimeout(None)
            return connection


class Gathering:
    """The first instance's side."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._others: list[socket.socket] = []

    def take(self, data: Mapping[str, Table]) -> dict[str, Table]:
        """The whole of every channel, in the order of the hosts. Raises CustomerError if shares do not fit together."""
        shares: dict[str, Any] = {}
        if len(self._job.hosts) == 1:
            return dict(data)
        with socket.create_server((self._job.host, PORT), backlog=len(self._job.hosts)) as listener:
            while len(shares) < len(self._job.hosts) - 1:
                connection, _ = listener.accept()
                with connection.makefile("rb") as stream:
                    head = json.loads(stream.readline())
                    shares[head["host"]] = np.load(io.BytesIO(stream.read(head["bytes"])), allow_pickle=False)
                self._others.append(connection)
        found = dict(data)
        for name in data:
            if self._job.channels[name].distribution == _SHARDED:
                others = [_table(shares[host], name) for host in self._job.hosts[1:]]
                try:
                    found[name] = tables.joined(iter([data[name], *others]))
                except tables.Unreadable as error:
                    words = f"The instances' shares of channel '{name}' do not fit together: {error}"
                    raise CustomerError(words) from error
        return found

    def finish(self) -> None:
        """Lets the others end."""
        for connection in self._others:
            connection.sendall(_DONE)
            connection.close()


def _table(share: Any, name: str) -> Table:
    labels = f"{name}/labels"
    return Table(share[f"{name}/features"], share.get(labels))

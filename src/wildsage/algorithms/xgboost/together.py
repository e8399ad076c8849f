"""XGBoost on several instances: its own collective, with the tracker on the first, as in AWS's image."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from xgboost import collective
from xgboost.core import XGBoostError
from xgboost.tracker import RabitTracker

from ..job import Job

_PORT = 9099
_PATIENCE = 300.0  # seconds for the first instance's tracker to be there
_PAUSE = 0.2


@contextmanager
def together(job: Job) -> Iterator[None]:
    """Within, matrices and boosters are those of all instances; nothing changes for one."""
    if len(job.hosts) == 1:
        yield
        return
    address = socket.gethostbyname(job.hosts[0])
    waiting = _tracker(address, len(job.hosts)) if job.host == job.hosts[0] else None
    _join(address, job.hosts.index(job.host))
    try:
        yield
    finally:
        collective.finalize()
    if waiting is not None:
        waiting.join()


def _tracker(address: str, count: int) -> threading.Thread:
    tracker = RabitTracker(count, address, _PORT, sortby="task")
    tracker.start()
    waiting = threading.Thread(target=tracker.wait_for, daemon=True)
    waiting.start()
    return waiting


def _join(address: str, number: int) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            collective.init(
                dmlc_communicator="rabit",
                dmlc_tracker_uri=address,
                dmlc_tracker_port=_PORT,
                dmlc_task_id=f"{number:04}",
            )
        except XGBoostError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def leads() -> bool:
    """Whether this instance is the one that tells and saves; always, if it is the only one."""
    return collective.get_rank() == 0


def mean(values: list[float], rows: int) -> list[float]:
    """Of all instances, by their rows: early stopping must decide alike on all of them."""
    if collective.get_world_size() == 1:
        return values
    mine = np.array([*(value * rows for value in values), rows], np.float64)
    *sums, total = collective.allreduce(mine, collective.Op.SUM)
    return [float(each / total) for each in sums]

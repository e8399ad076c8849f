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

from .. import gathering
from ..job import Job

_PORT = 9099
_OTHERS_FIRST = 3.0


@contextmanager
def together(job: Job) -> Iterator[None]:
    """Within, matrices and boosters are those of all instances; nothing changes for one."""
    if len(job.hosts) == 1:
        yield
        return
    address = socket.gethostbyname(job.hosts[0])
    if job.host != job.hosts[0]:
        # XGBoost waits longer and longer between its attempts to reach a tracker, and warns of each.
        gathering.reach(job.hosts[0]).close()
        with _joined(address, job):
            yield
        return
    tracker = RabitTracker(len(job.hosts), address, _PORT, sortby="task")
    tracker.start()
    waiting = threading.Thread(target=tracker.wait_for, daemon=True)
    waiting.start()
    with (
        socket.create_server((address, gathering.PORT), backlog=len(job.hosts)),
        _joined(address, job),
    ):
        yield
    waiting.join()


@contextmanager
def _joined(address: str, job: Job) -> Iterator[None]:
    """Within, this instance is one of the collective.

    XGBoost mostly raises that another instance has left it: the job failed of that one's error, which is heard first.
    """
    try:
        with collective.CommunicatorContext(
            dmlc_communicator="rabit",
            dmlc_tracker_uri=address,
            dmlc_tracker_port=_PORT,
            dmlc_task_id=f"{job.hosts.index(job.host):04}",
        ):
            yield
    except XGBoostError:
        time.sleep(_OTHERS_FIRST)
        raise


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

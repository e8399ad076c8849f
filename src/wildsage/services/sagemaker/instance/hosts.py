"""The instances of a job, as its containers know them."""

from __future__ import annotations

from dataclasses import dataclass

HOMOGENEOUS = "homogeneousCluster"
"""The group of a job that names none."""


@dataclass(frozen=True, slots=True)
class Host:
    """One instance. ``index``: from 0, over all groups in the order they were given."""

    index: int
    name: str
    group: str
    instance_type: str

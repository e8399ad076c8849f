"""The network that the instances of one job share. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from wildsage.runtimes.base import NetworkSpec
from wildsage.services.sagemaker.instance.instances import Job

_ON_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})")


def of_job(
    job: Job, ours: Mapping[str, str], *, outside: bool, encrypted: bool, folder: Path | None = None
) -> NetworkSpec | None:
    """The network of a job with several instances; None for a job with one.

    ``ours``: the variables we set there. ``folder``: what the network goes with, if that is not the job.
    """
    folder = folder or job.directory
    if len(job.hosts) == 1:
        return None
    return NetworkSpec(
        name=f"{folder.name}-network",
        directory=folder / "network",
        hosts=tuple(host.name for host in job.hosts),
        outside=outside,
        loopback=tuple(sorted(set(_loopback_ports(ours)))),
        encrypted=encrypted,
    )


def _loopback_ports(environment: Mapping[str, str]) -> Iterator[int]:
    """What our variables name of the machine's loopback: this server, and say a package index or a proxy beside it.

    In the job's own Environment, as on AWS, localhost is the container itself.
    """
    for value in environment.values():
        for found in _ON_LOOPBACK.findall(value):
            if 0 < int(found) < 1 << 16:
                yield int(found)

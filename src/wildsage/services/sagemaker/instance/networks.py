"""The network that the instances of one job share. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from wildsage.runtimes.base import NetworkSpec
from wildsage.services.sagemaker.instance.instances import Job

_ON_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})")


def of_job(
    job: Job,
    ours: Mapping[str, str],
    *,
    outside: bool,
    encrypted: bool,
    any_image: bool = False,
    folder: Path | None = None,
) -> NetworkSpec | None:
    """The network of a job with several instances; None for a job with one.

    ``ours``: the variables we set there. ``any_image``: as NetworkSpec has it. ``folder``: what the network goes with,
    if that is not the job.
    """
    folder = folder or job.directory
    if len(job.hosts) == 1:
        return None
    return NetworkSpec(
        name=f"{folder.name}-network",
        directory=folder / "network",
        hosts=tuple(host.name for host in job.hosts),
        outside=outside,
        loopback=loopback_ports(ours),
        encrypted=encrypted,
        any_image=any_image,
    )


def loopback_ports(ours: Mapping[str, str]) -> tuple[int, ...]:
    """What our variables name of the machine's loopback: this server, and say a package index or a proxy beside it.

    In the job's own Environment, as on AWS, localhost is the container itself.
    """
    return tuple(sorted(set(_named(ours))))


def _named(environment: Mapping[str, str]) -> Iterator[int]:
    for value in environment.values():
        for found in _ON_LOOPBACK.findall(value):
            if 0 < int(found) < 1 << 16:
                yield int(found)

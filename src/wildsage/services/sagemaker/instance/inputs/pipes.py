"""Pipe mode: what the feeder (``feed``) streams, and the container that it runs in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from wildsage.runtimes.base import Inspection, LaunchSpec, Mount, Phase
from wildsage.services.sagemaker.instance.inputs import feed, manifests
from wildsage.services.sagemaker.instance.inputs.channel import Channel, Mode, Origin
from wildsage.services.sagemaker.instance.inputs.listing import Reader
from wildsage.services.sagemaker.instance.places import Location
from wildsage.services.sagemaker.instance.threads import Stopped, check, in_thread
from wildsage.services.sagemaker.instance.transfers import several

PLAN = "feed"
FEEDER = "feeder"
_PROGRAM = "/opt/wildsage/feed.py"
_PLAN_INSIDE = "/opt/wildsage/feed"
_PIPES_INSIDE = "/opt/wildsage/pipes"
DATA = "input/data"
"""Where the pipes of a training job lie, below /opt/ml."""

Record = Sequence[manifests.Part]


async def stage(channels: Sequence[Channel], instance: Path, reader: Reader, below: str = DATA) -> None:
    """Puts what the feeder needs into the instance's folder, and the first pipes. Raises JobFault, OSError.

    ``below``: the folder of /opt/ml that the names of channels begin in.
    """
    piped = [channel for channel in channels if channel.mode is Mode.PIPE]
    if not piped:
        return
    plan = instance / PLAN
    blobs: dict[Location, int] = {}
    for channel in piped:
        known = len(blobs)
        await in_thread(
            partial(_write_entries, plan / f"{channel.name}.entries", await _records(channel, reader), blobs)
        )

        async def put(blob: tuple[Location, int], channel: Channel = channel) -> None:
            place, number = blob
            await reader.place(channel, place, plan / "blobs" / str(number))

        await several(list(islice(blobs.items(), known, None)), put)
    await in_thread(partial(_write_plan, plan, piped, list(blobs)))
    for channel in piped:
        for epoch in (0, 1):
            feed.make_pipe(instance / "ml" / below / f"{channel.name}_{epoch}")


async def _records(channel: Channel, reader: Reader) -> Iterable[Record]:
    """What this instance may need of the channel: without a seed that is its share, else all of it.

    The records of a manifest's lines are found while they are asked for, which may raise ClientFault.
    """
    count = channel.count if channel.seed is None else 1
    index = channel.index if channel.seed is None else 0
    if channel.origin is not Origin.AUGMENTED:
        entries = [entry for entry in await reader.objects(channel) if not entry.is_folder]
        return [(entry.place,) for entry in feed.share(entries, None, 0, index, count)]
    lines = feed.share(await reader.lines(channel), None, 0, index, count)
    names = channel.source["AttributeNames"]
    return (manifests.record(line, names, channel.uri, number) for number, line in lines)


def _write_entries(path: Path, records: Iterable[Record], blobs: dict[Location, int], stopped: Stopped) -> None:
    """Gives each new object in ``blobs`` the next number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for record in records:
            check(stopped)
            parts = [part if isinstance(part, str) else blobs.setdefault(part, len(blobs)) for part in record]
            file.write(f"{json.dumps(parts)}\n")


def _write_plan(plan: Path, channels: Iterable[Channel], origins: Iterable[Location], _stopped: Stopped) -> None:
    (plan / "blobs").mkdir(exist_ok=True)
    with (plan / "blobs.txt").open("w") as file:
        file.writelines(f"{json.dumps(str(place))}\n" for place in origins)
    (plan / "plan.json").write_text(json.dumps([_channel(each) for each in channels]))


def _channel(channel: Channel) -> dict[str, Any]:
    """Its share is taken by the feeder only if that is another in each epoch."""
    shuffled = channel.seed is not None
    return {
        "name": channel.name,
        "seed": channel.seed,
        "index": channel.index if shuffled else 0,
        "count": channel.count if shuffled else 1,
        "gzip": channel.gzip,
        "recordio": channel.recordio,
    }


def feeder(name: str, instance: Path, below: str = DATA) -> LaunchSpec | None:
    """The container that feeds the instance called ``name``; None if no channel of it has Pipe mode."""
    if not (instance / PLAN).exists():
        return None
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    return LaunchSpec(
        name=f"{name}-{FEEDER}",
        directory=instance / FEEDER,
        argv=(python, "-I", "-S", _PROGRAM, _PLAN_INSIDE, _PIPES_INSIDE),
        environment={"LC_ALL": "C.UTF-8"},
        mounts=(
            Mount(Path(feed.__file__), _PROGRAM, read_only=True),
            Mount(instance / PLAN, _PLAN_INSIDE, read_only=True),
            Mount(instance / "ml" / below, _PIPES_INSIDE),
        ),
        network="isolated",
    )


def failure(found: Inspection, log: Sequence[str]) -> str:
    """The FailureReason of a job whose feeder has ended, which it never does by itself; ``log``: all that it wrote."""
    if found.phase is Phase.EXITED and log:
        return log[-1]
    how = "vanished" if found.phase is Phase.LOST else f"ended with status {found.exit_code}"
    return (
        f"InternalServerError: The process that streams the data of the channels in Pipe mode {how}, so the job cannot "
        "have seen all of its data. Please create the job again."
    )

"""The files of a channel, or its pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..job import Channel

PIPE = "Pipe"


def paths(channel: Channel) -> list[str]:
    """Every file below the channel's folder in the order of its name; hidden ones and markers such as _SUCCESS not."""
    found = []
    for folder, folders, names in os.walk(channel.path):
        folders.sort()
        found += [os.path.join(folder, name) for name in sorted(names) if not name.startswith((".", "_"))]
    return [path for path in found if os.path.getsize(path)]


@contextmanager
def pipe(channel: Channel, epoch: int = 0) -> Iterator[BinaryIO]:
    """The channel's data once; each epoch has a pipe of its own (Developer Guide, "Using Pipe mode")."""
    with open(f"{channel.path}_{epoch}", "rb", buffering=1 << 20) as stream:
        yield stream


def streams(channel: Channel) -> Iterator[BinaryIO]:
    """The channel's data once, file by file, or in one stream where it comes through a pipe."""
    if channel.mode == PIPE:
        with pipe(channel) as stream:
            yield stream
        return
    for path in paths(channel):
        with open(path, "rb", buffering=1 << 20) as stream:
            yield stream

"""File and FastFile mode: a folder for each channel, of links to the stored bytes wherever these lie here as they are.

The folder is not the container's own: it is mounted, read-only or below a private layer, so that nothing that a job
does to its input reaches the files that S3 keeps.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wildsage.core.errors import ClientFault
from wildsage.runtimes.base import Inside, Mount
from wildsage.services.sagemaker.instance import faults
from wildsage.services.sagemaker.instance.inputs.channel import Channel, FileSystems, Mode, Origin
from wildsage.services.sagemaker.instance.inputs.feed import share
from wildsage.services.sagemaker.instance.inputs.listing import Entry, Reader
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import several

FOLDER = "channels"
"""In an instance's folder; not in its ``ml``, which the container has as its own."""


async def place(channel: Channel, folder: Path, reader: Reader) -> None:
    """Puts this instance's share of a channel into ``folder``. Raises JobFault, OSError."""

    async def put(entry: Entry) -> None:
        try:
            if entry.is_folder:
                await in_thread(partial(_folder, folder / entry.path))
            else:
                await reader.place(channel, entry.place, folder / entry.path)
        except OSError as error:
            if fault := faults.of_key(error, entry.place.key):
                raise fault from error
            raise

    found = await reader.objects(channel)
    await several(share(found, channel.seed, 0, channel.index, channel.count), put)


def _folder(path: Path, _stopped: object) -> None:
    path.mkdir(parents=True, exist_ok=True)


def mounts(channels: Sequence[Channel], instance: Path, file_systems: FileSystems) -> tuple[Mount, ...]:
    """What of an instance's folder, or of a file system, its container has as channels. Raises ClientFault."""
    found = []
    for channel in channels:
        target = f"{Inside.ML}/input/data/{channel.name}"
        if channel.origin is Origin.FILE_SYSTEM:
            read_only = channel.source["FileSystemAccessMode"] == "ro"
            found.append(Mount(directory(channel, file_systems), target, read_only=read_only))
        elif channel.mode is not Mode.PIPE:
            source = instance / FOLDER / channel.name
            lazy = channel.mode is Mode.FAST_FILE
            found.append(Mount(source, target, read_only=lazy, layered=not lazy))
    return tuple(found)


def directory(channel: Channel, file_systems: FileSystems) -> Path:
    """The folder of this machine that a file system channel names. Raises ClientFault."""
    system, path = channel.source["FileSystemId"], channel.source["DirectoryPath"]
    if system not in file_systems:
        raise ClientFault(
            f"ClientError: The file system {system} of channel {channel.name} is no longer known to this server; see "
            "WILDSAGE_FILE_SYSTEMS."
        )
    root = os.path.realpath(file_systems[system])
    found = os.path.realpath(f"{root}/{path}")
    if not Path(found).is_dir() or os.path.commonpath((root, found)) != root:
        raise ClientFault(
            f"ClientError: Unable to mount file system: {system} directory path: {path}. File system directory path "
            "doesn't exist. Please ensure that the provided directory path exists and is accessible."
        )
    return Path(found)

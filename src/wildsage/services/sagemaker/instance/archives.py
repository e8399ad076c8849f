"""tar.gz files in and out of an instance's folder. All functions block: run them with ``in_thread``."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance.threads import Stopped, check

# A model is packed once and waited for; level 1 is four times as quick as the default and loses little on weights.
_LEVEL = 1


def pack(folder: Path, archive: Path, stopped: Stopped) -> None:
    """Everything in ``folder`` as ``archive``, names relative to the folder; the same files give the same bytes."""
    with (
        open(archive, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _entries(folder):
            check(stopped)
            _add(tar, path, path.relative_to(folder).as_posix())


def _entries(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path))


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        return  # sockets and pipes mean nothing outside the container
    info = tar.gettarinfo(path, name)
    info.mtime = 0
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    if info.isreg():
        with open(path, "rb") as file:
            tar.addfile(info, file)
    else:
        tar.addfile(info)


def unpack(archive: Path, folder: Path, stopped: Stopped) -> None:
    """Unpacks a tar, compressed or not; raises ClientFault for anything else or for names that lead out of ``folder``.

    The rules are those of Python's "data" filter (PEP 706): no absolute names, no links that lead out, no devices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                check(stopped)
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise ClientFault(f"ClientError: the archive cannot be unpacked: {error}") from error

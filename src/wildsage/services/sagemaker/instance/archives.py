"""tar.gz files in and out of an instance's folder. All functions block: run them with ``in_thread``."""

from __future__ import annotations

import copy
import errno
import gzip
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance.threads import Stopped, check

# A model is packed once and waited for; level 1 is four times as quick as the default and loses little on weights.
_LEVEL = 1
_CHUNK = 1 << 20
MOST_BYTES = 512 << 30
"""Of what an archive holds; as much as the volume of an instance may have (ProductionVariant, VolumeSizeInGB)."""
_SPARE_BYTES = 256 << 20
"""Of the disk, which stay free."""
_LEAST = 4096  # what a file takes, be it empty
_WORTH_A_LOOK = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class Packed:
    """What somebody may miss in an archive, by name.

    ``clashing``: that an earlier folder has too; ``odd``: pipes, sockets and devices; ``outward``: links that lead out
    of the folder, of which it has nothing but where they point.
    """

    clashing: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    outward: list[str] = field(default_factory=list)


def pack(folders: Sequence[Path], archive: Path, stopped: Stopped) -> Packed:
    """Everything in ``folders`` as ``archive``, names relative to each; the same files give the same bytes.

    Of what several have under one name the first's is taken. Folders become one. No link is followed.
    """
    taken: dict[str, bool] = {}  # name → whether it is a folder
    told = Packed()
    with (
        open(archive, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for number, folder in enumerate(folders):
            for path in _entries(folder):
                check(stopped)
                name = path.relative_to(folder).as_posix()
                whole = path.is_dir() and not path.is_symlink()
                if number and (name in taken or taken.get(name.rpartition("/")[0]) is False):
                    taken.setdefault(name, False)
                    if not (whole and taken[name]):
                        told.clashing.append(name)
                    continue
                if len(folders) > 1:
                    taken[name] = whole
                _add(tar, path, name, told)
    return told


def _entries(folder: Path) -> Iterator[Path]:
    """Everything below ``folder``, a folder before what is in it; however deep."""
    pending = [folder]
    while pending:
        found = pending.pop()
        if found is not folder:
            yield found
        if found.is_dir() and not found.is_symlink():
            with os.scandir(found) as entries:
                pending += [Path(each.path) for each in sorted(entries, key=lambda each: each.name, reverse=True)]


def _add(tar: tarfile.TarFile, path: Path, name: str, told: Packed) -> None:
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
        told.odd.append(name)  # means nothing outside the container
        return
    if stat.S_ISLNK(mode) and _leads_out(name, str(path.readlink())):
        told.outward.append(name)
    info = tar.gettarinfo(path, name)
    info.mtime = 0
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    if info.isreg():
        with open(path, "rb") as file:
            tar.addfile(info, file)
    else:
        tar.addfile(info)


def _leads_out(name: str, target: str) -> bool:
    """By its text alone: where the container's own files were, others are now."""
    ends = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return ends.startswith("/") or ends.split("/", 1)[0] == ".."


def unpack(archive: Path, folder: Path, uri: str, most: int, stopped: Stopped) -> None:
    """Unpacks a tar, compressed or not, that came from ``uri``; raises OSError for the disk's doing.

    Raises ClientFault for what is no tar, is damaged, has names that lead out of ``folder``, or over ``most`` bytes.
    The rules are those of Python's "data" filter (PEP 706): no links that lead out, no devices, nobody's ownership.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    left = most
    try:
        with tarfile.open(archive, "r:*") as tar:
            # Python has no filters before 3.11.4 (Debian 12 has 3.11.2); where it has, ours has done it all.
            tar.extraction_filter = lambda member, _: member
            for member in tar:
                check(stopped)
                left -= max(member.size, _LEAST)
                if left < 0:
                    raise _Refused(member, f"does not fit: unpacked it has more than {most / (1 << 30):g} GiB")
                _keep_spare(folder, member.size)
                tar.extract(_permitted(member, place), folder)
            while tar.fileobj is not None and tar.fileobj.read(_CHUNK):
                check(stopped)  # the checksum is behind the last member, and only who reads on gets to it
    except _Refused as error:
        raise ClientFault(f"ClientError: {uri} cannot be unpacked: {error}") from error
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, ValueError) as error:
        raise ClientFault(f"ClientError: {uri} cannot be unpacked: {_damage(archive, error)}") from error


def _keep_spare(folder: Path, size: int) -> None:
    """Raises OSError where a file of that size would take the last of the disk, which the server itself needs."""
    if size > _WORTH_A_LOOK and shutil.disk_usage(folder).free - size < _SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


class _Refused(Exception):
    """A member that may not be unpacked."""

    def __init__(self, member: tarfile.TarInfo, words: str) -> None:
        super().__init__(f"its member {member.name!r} {words}.")


def _permitted(member: tarfile.TarInfo, place: Path) -> tarfile.TarInfo:
    """The member as it may be put into ``place``; raises _Refused."""
    kept = copy.copy(member)
    kept.name = member.name.lstrip("/")
    if not _inside(place / kept.name, place):
        raise _Refused(member, "would be put outside of its folder")
    if not (member.isreg() or member.isdir() or member.islnk() or member.issym()):
        raise _Refused(member, "is a device or pipe")
    if member.islnk() or member.issym():
        if member.linkname.startswith("/"):
            raise _Refused(member, "is a link to an absolute path")
        origin = (place / kept.name).parent if member.issym() else place
        if not _inside(origin / member.linkname, place):
            raise _Refused(member, "is a link that leads out of its folder")
    kept.uid, kept.gid, kept.uname, kept.gname = os.getuid(), os.getgid(), "", ""
    kept.mode = 0o755 if member.isdir() else (member.mode & 0o755) | 0o600
    return kept


def _inside(path: Path, place: Path) -> bool:
    return path.resolve().is_relative_to(place)


def _damage(archive: Path, error: Exception) -> str:
    size = archive.stat().st_size
    if not size:
        return "the object is empty; it must be a tar.gz archive."
    with open(archive, "rb") as file:
        packed = file.read(2) == _GZIP
    if not packed:
        return f"the object ({size} bytes) is not a tar.gz archive."
    return f"the tar.gz archive ({size} bytes) is damaged or incomplete: {error}."

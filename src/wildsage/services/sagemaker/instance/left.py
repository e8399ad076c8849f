"""Files that a container has left, or is still writing, in its folder: found and opened without following any link.

A container may put a symbolic link, a pipe or a device wherever it can write, at any moment. All functions block: run
them with ``in_thread``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance.threads import Stopped, check

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_KEY = 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was found; another one, or other content, compares unequal."""

    inode: int
    size: int
    changed: int


_ODD = Seen(0, 0, 0)


def walk(root: Path, folder: str, stopped: Stopped, odd: list[str] | None = None) -> dict[str, Seen]:
    """The regular files below ``root/folder``, by their paths below it, in order.

    ``root`` itself is trusted. What is gone meanwhile is left out, and so is what is no regular file: its path is put
    into ``odd``. Raises ClientFault for a folder that is a symbolic link, and for names that cannot be keys.
    """
    found: dict[str, Seen] = {}
    pending = [""]
    while pending:
        check(stopped)
        path = pending.pop()
        try:
            entries = _entries(root, f"{folder}/{path}" if path else folder)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not path and isinstance(error, NotADirectoryError):
                raise ClientFault(
                    f"AlgorithmError: /opt/ml/{folder} is no folder any more, or a symbolic link; write to the folder "
                    "itself, so that its files can be uploaded."
                ) from error
            continue
        for name, seen in entries:
            inner = f"{path}/{name}" if path else name
            if seen is _ODD:
                if odd is not None:
                    odd.append(inner)
                continue
            _check_name(inner, folder)
            if seen is None:
                pending.append(inner)
            else:
                found[inner] = seen
    return dict(sorted(found.items()))


def _entries(root: Path, folder: str) -> list[tuple[str, Seen | None]]:
    """Names in a folder; None for folders, _ODD for what is neither folder nor file."""
    found: list[tuple[str, Seen | None]] = []
    with _opened_folder(root, folder) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                found.append((entry.name, None))
            elif stat.S_ISREG(status.st_mode):
                found.append((entry.name, Seen(status.st_ino, status.st_size, status.st_mtime_ns)))
            else:
                found.append((entry.name, _ODD))
    return found


def _check_name(path: str, folder: str) -> None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise ClientFault(
            f"ClientError: The name of a file in /opt/ml/{folder} is not UTF-8 ({path!r}), so it cannot be an object's "
            "key. Rename the file."
        ) from None
    if size > _LONGEST_KEY:
        raise ClientFault(
            f"ClientError: The path of a file in /opt/ml/{folder} is longer than the {_LONGEST_KEY} bytes that an "
            f"object's key may have ({path[:100]}…)."
        )


@contextmanager
def _opened_folder(root: Path, folder: str) -> Iterator[int]:
    descriptor = os.open(root, _FOLDER)
    try:
        for part in folder.split("/"):
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def opened(root: Path, path: str) -> BinaryIO | None:
    """The regular file ``root/path``, to be closed by the caller; None where there is none (any more)."""
    folder, _, name = path.rpartition("/")
    try:
        with _opened_folder(root, folder) as descriptor:
            file = os.open(name, _FILE, dir_fd=descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return None  # a link (ELOOP), a socket (ENXIO)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        return None
    return open(file, "rb", buffering=0)

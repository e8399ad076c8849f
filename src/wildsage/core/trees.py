"""Taking a folder away, whatever a container has left in it."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TRIES = 20


def remove(root: Path) -> None:
    """Removes ``root`` with everything in it; does nothing if it is not there. Raises OSError; PermissionError if
    something there is another user's, once all else is gone: whoever removes it may need the room.

    ``shutil.rmtree`` goes down by recursion and by ever longer paths, so a chain of a few thousand folders defeats it,
    and folders that their owner may not read do too.  Here each folder found is first moved up to ``root``: no path
    gets longer than what it was given by two names. Two may do so at once, as where a thread still removes what its
    cancelled task asked for.
    """
    for left in reversed(range(_TRIES)):
        try:
            _remove(root)
        except FileNotFoundError:
            pass  # it is not there, or not any more
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or not left:
                raise
            continue  # the other moved something up
        return


def _remove(root: Path) -> None:
    if not stat.S_ISDIR(root.lstat().st_mode):
        root.unlink()
        return
    pending, refused = [root], None
    while pending:
        try:
            with suppress(FileNotFoundError):
                _empty(pending.pop(), root, pending)
        except PermissionError as error:
            refused = error
    if refused is not None:
        raise refused
    root.rmdir()


def _empty(folder: Path, root: Path, pending: list[Path]) -> None:
    """Removes what is in ``folder``, and that too unless it is ``root``; folders that are left come to ``pending``."""
    refused = None
    folder.chmod(0o700)
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        try:
            with suppress(FileNotFoundError):
                pending += _taken(entry, root, folder)
        except PermissionError as error:
            refused = error
    if refused is not None:
        raise refused
    if folder != root:
        folder.rmdir()


def _taken(entry: os.DirEntry[str], root: Path, folder: Path) -> Iterator[Path]:
    """Removes an entry of ``folder``, unless it is a folder; that is somewhere near then."""
    if not entry.is_dir(follow_symlinks=False):
        os.unlink(entry.path)  # noqa: PTH108  there may be very many
    elif folder == root:
        yield Path(entry.path)
    else:
        os.chmod(entry.path, 0o700)  # noqa: PTH101  moving a folder writes to it
        above = root / uuid.uuid4().hex
        os.rename(entry.path, above)  # noqa: PTH104
        yield above

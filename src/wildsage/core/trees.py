"""Taking a folder away, whatever a container has left in it."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path


def remove(root: Path) -> None:
    """Removes ``root`` with everything in it; does nothing if it is not there. Raises OSError.

    ``shutil.rmtree`` goes down by recursion and by ever longer paths, so a chain of a few thousand folders defeats it,
    and folders that their owner may not read do too.  Here each folder found is first moved up to ``root``: no path
    gets longer than what it was given by two names.
    """
    try:
        if not stat.S_ISDIR(root.lstat().st_mode):
            root.unlink()
            return
    except FileNotFoundError:
        return
    pending = [root]
    while pending:
        folder = pending.pop()
        folder.chmod(0o700)
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108  there may be very many
            elif folder == root:
                pending.append(Path(entry.path))
            else:
                os.chmod(entry.path, 0o700)  # noqa: PTH101  moving a folder writes to it
                above = root / uuid.uuid4().hex
                os.rename(entry.path, above)  # noqa: PTH104
                pending.append(above)
        if folder != root:
            folder.rmdir()
    root.rmdir()

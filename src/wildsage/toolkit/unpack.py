"""``unpack.py SOURCE TARGET``: puts a folder's or a tar archive's content into TARGET.

A program of its own, run only where there is something to unpack, so that the others start without its imports.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile


def unpack(source: str, target: str) -> None:
    """Raises OSError or tarfile.TarError."""
    if os.path.isdir(source):
        shutil.copytree(source, target, dirs_exist_ok=True)
        return
    with tarfile.open(source) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(target, filter="data")
        else:
            archive.extractall(target)


if __name__ == "__main__":
    unpack(*sys.argv[1:])

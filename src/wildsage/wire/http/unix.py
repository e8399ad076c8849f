"""Unix sockets in folders that somebody else writes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def itself(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path to connect to that leads to the socket at ``path`` itself, for as long as this lasts. Raises OSError.

    A container may put a symbolic link where its socket was: followed by a router, which may go anywhere, it would lead
    requests to the sockets of other containers. Here nothing listens at a link.
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

"""Repositories of other registries that were asked for with credentials.

The container engine keeps what it pulled with them, and gives it to everybody; so it is remembered whose images are
only for those whom their registry lets in.
"""

from __future__ import annotations

import contextlib
from typing import Final

from wildsage.kit.context import Platform
from wildsage.store.resources import AlreadyExists, Key, Resource

KIND: Final = "private-repository"


async def remember(platform: Platform, repository: str) -> None:
    """``repository``: a name without tag and digest (``uris.common_name``)."""
    now = platform.clock.now()
    if not await is_private(platform, repository):
        with contextlib.suppress(AlreadyExists):
            await platform.resources.create(Resource(_key(repository), {}, created=now, modified=now))


async def is_private(platform: Platform, repository: str) -> bool:
    """Whether somebody gave credentials for it."""
    return await platform.resources.get(_key(repository)) is not None


def _key(repository: str) -> Key:
    return Key(KIND, "", "", repository)

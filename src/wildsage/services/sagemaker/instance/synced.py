"""A folder that a container writes, kept the same under an S3 prefix while it does.

What S3 has at the start comes down; afterwards new and changed files go up, and files that went away are deleted in S3,
too (Developer Guide, "Use checkpoints in Amazon SageMaker AI"). A record beside the folder says what S3 has, so that a
new control process goes on where the last one was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError
from wildsage.services.sagemaker.instance.left import Seen, opened, walk
from wildsage.services.sagemaker.instance.places import Location
from wildsage.services.sagemaker.instance.threads import Stopped, in_thread
from wildsage.services.sagemaker.instance.transfers import Transfers, several

EVERY = 1.0
"""Seconds between two looks at the folder."""
_UNKNOWN = Seen(-1, -1, -1)

Files = dict[str, Seen]
"""Path within the folder → what is there."""


@dataclass(frozen=True, slots=True)
class Synced:
    """``folder``: the container's; only what it lies in is trusted. ``target``: the prefix. ``record``: a file of ours.

    Should the folder itself go away, or become a link, S3 is left as it is.
    """

    folder: Path
    target: Location
    record: Path

    async def fetch(self, transfers: Transfers) -> None:
        """Everything below the prefix, once, into the folder, which is there and empty."""
        key = self.target.key.rstrip("/")
        await transfers.download_prefix(Location(self.target.bucket, f"{key}/" if key else ""), self.folder)
        found = await in_thread(partial(_look, self.folder))
        await in_thread(lambda _: _write(self.record, found or {}))

    async def keep(self, transfers: Transfers, clock: Clock) -> None:
        """Until cancelled, or raises ApiError or OSError. Files that only the container may read have to wait.

        A file goes up once it has stayed the same from one look to the next: half a checkpoint is of no use.
        """
        before: Files = {}
        while True:
            await clock.sleep(EVERY)
            found = await in_thread(partial(_look, self.folder))
            if found is None:
                continue
            if found != before:
                await self._bring(transfers, found, {path for path in found if found[path] == before.get(path)})
            elif found != await in_thread(lambda _: _read(self.record)):
                await self._bring(transfers, found, set(found))
            before = found

    async def finish(self, transfers: Transfers) -> None:
        """S3 has what the folder has, now that nobody writes there any more. Raises ApiError and OSError."""
        found = await in_thread(partial(_look, self.folder))
        if found is not None:
            await self._bring(transfers, found, set(found), last=True)

    async def _bring(self, transfers: Transfers, found: Files, steady: set[str], last: bool = False) -> None:
        """``steady``: what of ``found`` may go up."""
        known = await in_thread(lambda _: _read(self.record))
        new = [path for path in steady if known.get(path) != found[path]]
        gone = [path for path in known if path not in found]
        if not new and not gone:
            return
        # Said before it is done: what may be there already must be deleted, should the file go away.
        after = {**known, **dict.fromkeys(new, _UNKNOWN)}
        await in_thread(lambda _: _write(self.record, after))

        async def up(path: str) -> None:
            try:
                if await _upload(self.folder, path, self.target.under(path), transfers):
                    after[path] = found[path]
            except PermissionError:
                if last:  # until then it is root's own, in a container of an ordinary user's
                    raise

        async def away(path: str) -> None:
            await transfers.delete(self.target.under(path))
            del after[path]

        try:
            await several(new, up)
            await several(gone, away)
        finally:
            await in_thread(lambda _: _write(self.record, after))


async def _upload(folder: Path, path: str, target: Location, transfers: Transfers) -> bool:
    """False if it is no longer a file there, or was cut off on the way: the next look finds what it is then."""
    file = await in_thread(lambda _: opened(folder.parent, f"{folder.name}/{path}"))
    if file is None:
        return False
    with file:
        try:
            await transfers.upload_open(file, target)
        except ApiError as error:
            if error.code == "IncompleteBody":
                return False
            raise
    return True


def _look(folder: Path, stopped: Stopped) -> Files | None:
    """What is in the folder; None if it is none. Raises ClientFault for names that cannot be keys."""
    if folder.is_symlink() or not folder.is_dir():
        return None
    return walk(folder.parent, folder.name, stopped)


def _read(record: Path) -> Files:
    try:
        text = record.read_text()
    except FileNotFoundError:
        return {}
    return {path: Seen(*seen) for path, seen in json.loads(text).items()}


def _write(record: Path, files: Mapping[str, Seen]) -> None:
    new = record.with_suffix(".new")
    new.write_text(json.dumps({path: (each.inode, each.size, each.changed) for path, each in files.items()}))
    new.replace(record)

"""Captured requests and answers, from the files that routers leave (``core.captures``) to S3, as the endpoint's role.

A file is taken away once S3 has it. Its key follows from its name, so that what was being shipped when control was
killed is shipped again as the same object. What S3 refuses is kept for a day, tried again, and spoken of in the
endpoint's log.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from wildsage.core.captures import OPEN, READY, Origin, origin_of, path_of
from wildsage.core.errors import ApiError, JobFault
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream
from wildsage.services.sagemaker.endpoints.kind import log_group
from wildsage.services.sagemaker.instance import places, roles
from wildsage.services.sagemaker.instance.threads import in_thread
from wildsage.services.sagemaker.instance.transfers import FilePart, several

log = logging.getLogger(__name__)

STREAM = "data-capture"
"""The last part of the name of the log stream that says what S3 refuses."""

_LOOK_SECONDS = 1.0
_RETRY_SECONDS = (1.0, 5.0, 20.0, 60.0)
_KEPT_SECONDS = 86400.0
_PIECE = 1 << 16


@dataclass(slots=True)
class _Trouble:
    """Why nothing of one origin goes up. ``until``: when it is tried again, by the monotonic clock."""

    words: str
    attempts: int = 0
    until: float = 0.0


class Shipping:
    """Ships what lies in ``DataDir.captured``."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._folder = platform.settings.data.captured
        self._changed = -1
        self._left = False
        self._troubles: dict[Origin, _Trouble] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.step()
            except OSError as error:
                log.warning("captured data cannot be read: %s", error)
            await self._platform.clock.sleep(_LOOK_SECONDS)

    async def step(self) -> None:
        """Ships what is ready. Costs next to nothing where nothing is captured."""
        changed = _changed(self._folder)
        if changed == self._changed and not self._left:
            return
        ready, open_ = await in_thread(lambda _: _look(self._folder))
        await several(ready, self._ship)
        self._changed = changed
        self._left = bool(ready or open_)

    async def _ship(self, path: Path) -> None:
        with open(path, "rb") as file:  # noqa: ASYNC230 - of this machine, and only its first line is read here
            try:
                origin = origin_of(file.readline())
                key = path_of(origin, path.stem)
            except ValueError as error:
                log.warning("%s is taken away: %s", path, error)
                _remove(path)
                return
            trouble = self._troubles.get(origin)
            if trouble is not None and trouble.until > self._platform.clock.monotonic():
                return
            try:
                await self._put(origin, key, file)
            except (ApiError, JobFault) as error:
                await self._refused(origin, str(error), path)
                return
        _remove(path)
        if self._troubles.pop(origin, None) is not None:
            await self._say(origin, f"Captured data is written to {origin.destination} again.")

    async def _put(self, origin: Origin, key: str, file: BinaryIO) -> None:
        """Everything behind the first line as one object."""
        target = places.parse(origin.destination).under(key)
        start = file.tell()
        body = FilePart(file, start, os.fstat(file.fileno()).st_size - start)
        if not body.length:
            return  # its router was killed before the first record
        request: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key, "ContentLength": body.length}
        if origin.kms_key:
            request |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": origin.kms_key}
        caller = await roles.assume(self._platform, origin.role)
        await self._platform.calls.call(caller, origin.region, "s3", "PutObject", {**request, "Body": body})

    async def _refused(self, origin: Origin, words: str, path: Path) -> None:
        """Says so once, and waits longer each time."""
        old = self._platform.clock.now() - _written(path) > _KEPT_SECONDS
        if old:
            _remove(path)
        known = self._troubles.get(origin)
        trouble = self._troubles.setdefault(origin, _Trouble(words))
        trouble.until = self._platform.clock.monotonic() + _RETRY_SECONDS[min(trouble.attempts, 3)]
        trouble.attempts += 1
        if old:
            await self._say(origin, f"Captured data of {path.stem} is given up after a day: {words}")
        elif known is None or known.words != words:
            trouble.words = words
            await self._say(
                origin,
                f"Captured data cannot be written to {origin.destination} as role {origin.role}: {words.rstrip('.')}. "
                "It is kept for a day and tried again. Check that the bucket exists and that the role may "
                "s3:PutObject there.",
            )

    async def _say(self, origin: Origin, text: str) -> None:
        log.warning("endpoint %s, variant %s: %s", origin.endpoint, origin.variant, text)
        stream = LogStream(origin.account, origin.region, log_group(origin.endpoint), f"{origin.variant}/{STREAM}")
        await logstreams.ensure(self._platform, stream)
        await logstreams.append(self._platform, stream, [(round(self._platform.clock.now() * 1000), text)])


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _written(path: Path) -> float:
    """When it was last added to, epoch seconds."""
    return path.stat().st_mtime


def _changed(folder: Path) -> int:
    """A number that changes when a file comes or goes."""
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _look(folder: Path) -> tuple[Sequence[Path], bool]:
    """The files to ship, oldest first, with those that their routers will not close any more; and whether there are
    others that routers still write to."""
    open_ = False
    for path in folder.glob(f"*{OPEN}"):
        open_ |= not _adopted(path)
    return sorted(folder.glob(f"*{READY}")), open_


def _adopted(path: Path) -> bool:
    """Makes a file ready whose router is gone; False if it is not."""
    try:
        with open(path, "rb+") as file:
            if not os.fstat(file.fileno()).st_size:
                return False  # its router has not had the time to lock it
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            file.truncate(_whole(file))
            path.rename(path.with_suffix(READY))
    except FileNotFoundError:
        pass  # its router was faster
    return True


def _whole(file: BinaryIO) -> int:
    """The size of a file without what stands behind its last line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(end - _PIECE, 0)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0

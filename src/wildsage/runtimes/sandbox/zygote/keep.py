"""Starts zygotes and finds them again: one for each interpreter and set of modules."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_KERNEL = _HERE.parent / "keeper" / "kernel.py"
_START_SECONDS = 120.0
_VARIABLES = {
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "HOME": "/nonexistent",
    **dict.fromkeys(("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}


class Zygotes:
    """Those of one control process; after a restart of control they are found by their sockets."""

    def __init__(self) -> None:
        self._turns: dict[Path, asyncio.Lock] = {}
        self._failed: set[Path] = set()

    async def socket_of(self, python: str, modules: tuple[str, ...], owner: Path) -> str:
        """Where one listens that has ``modules`` of ``python`` in memory; it is started if need be.

        Empty if there can be none, which the server's log explains: containers are then executed. ``owner``: the folder
        of the containers.
        """
        key = hashlib.sha256("\n".join((str(owner), python, *modules)).encode()).hexdigest()[:16]
        place = Path(tempfile.gettempdir()) / f"wildsage-zygote-{os.geteuid()}-{key}"
        async with self._turns.setdefault(place, asyncio.Lock()):
            if place in self._failed:
                return ""
            return await asyncio.to_thread(self._found_or_started, place, python, modules)

    def _found_or_started(self, place: Path, python: str, modules: tuple[str, ...]) -> str:
        path = place / "s"
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
        if not _ours_alone(place):
            self._failed.add(place)
            words = "is another user's, or open to others; remove it and start the server again"
            log.warning("containers of %s are started without the modules they share: %s %s", python, place, words)
            return ""
        if _answers(path):
            return str(path)
        path.unlink(missing_ok=True)
        command = [python, str(_HERE / "main.py"), str(path), str(_KERNEL), *modules]
        with (place / "log").open("wb") as errors:
            try:
                said = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd="/",
                    env=_VARIABLES,
                    start_new_session=True,
                    timeout=_START_SECONDS,
                    check=False,
                ).stdout.decode(errors="replace")
            except subprocess.TimeoutExpired:
                said = f"they were not imported within {_START_SECONDS:g} s"
        if said.strip() == "ready":
            return str(path)
        self._failed.add(place)
        words = said or (place / "log").read_text(errors="replace")[-500:]
        log.warning("containers of %s are started without the modules they share: %s", python, words)
        return ""


def _ours_alone(place: Path) -> bool:
    """Its name can be foreseen, and anybody may make folders beside it: who can write there would own containers."""
    found = place.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _answers(path: Path) -> bool:
    """Whether somebody listens; a connection that ends without a word is nothing to it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True

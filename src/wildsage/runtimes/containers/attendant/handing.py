"""An errand: hands the files that a container has left to the user who started Wildsage, who is not root.

It sees the container's folder and nothing else of the machine's, so whatever lies there, it can lead nowhere.
"""

from __future__ import annotations

import os
import stat
import sys

from wildsage.runtimes.containers.api import Api
from wildsage.runtimes.containers.attendant.errands import Errand, bind, failed
from wildsage.runtimes.containers.attendant.making import FILES

_FILES = "/files"
_DONE = "done"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def hand_over(api: Api, name: str, directory: str) -> None:
    """All in ``directory``, which is the user's own, is the user's then. Raises EngineGone, EngineError."""
    if os.geteuid() == 0 or not _foreign(directory):
        return
    errand = Errand(api, name, directory, FILES, "handing", (str(os.geteuid()), str(os.getegid())))
    host = {"CapAdd": ["CHOWN", "DAC_OVERRIDE", "FOWNER"], "SecurityOpt": ["label=disable"]}
    text = errand.said(errand.start([bind(directory, _FILES, read_only=False)], host))
    if text != _DONE:
        raise failed(text)


def _foreign(directory: str) -> bool:
    """Whether something there is somebody else's, or may be."""
    waiting, user = [directory], os.geteuid()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.stat(follow_symlinks=False).st_uid != user:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            return True
    return False


def main() -> None:
    """Entry of the errand: the user, the group."""
    walk(_FILES, int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(_DONE)


def walk(root: str, user: int, group: int) -> None:
    """Gives all below ``root`` to ``user``, who may then read it. Follows no links, however deep it goes."""
    folder = os.open(root, _FOLDER)
    levels = [_handed(folder, user, group)]
    while True:
        if levels[-1]:
            below = os.open(levels[-1].pop(), _FOLDER, dir_fd=folder)
            levels.append(_handed(below, user, group))
        else:
            levels.pop()
            if not levels:
                os.close(folder)
                return
            below = os.open("..", _FOLDER, dir_fd=folder)
        os.close(folder)
        folder = below


def _handed(folder: int, user: int, group: int) -> list[str]:
    """Gives what is in one folder to the user; returns the folders among it."""
    folders = []
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    for name, about in found:
        if about.st_uid != user:
            os.chown(name, user, group, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(about.st_mode):
            folders.append(name)
        least = 0o700 if stat.S_ISDIR(about.st_mode) else 0o400
        if about.st_mode & least != least and (stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)):
            descriptor = os.open(name, _FILE, dir_fd=folder)
            os.fchmod(descriptor, stat.S_IMODE(about.st_mode) | least)
            os.close(descriptor)
    return folders

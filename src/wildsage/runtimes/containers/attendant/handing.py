"""An errand: hands the files that a container has left to the user who started Wildsage, who is not root.

It sees the container's folders and nothing else of the machine's: whatever lies there, it can lead nowhere.
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
_SHARED = "scratch/shared"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def hand_over(api: Api, name: str, directory: str) -> bool:
    """All in ``directory`` is the user's then, and what the container wrote to folders that it shares with others.

    ``directory`` has been the user's own, and so have these. Returns whether it took an errand.

    Raises EngineGone, EngineError.
    """
    if os.geteuid() == 0:
        return False
    folders = [(path, since) for path, since in ((directory, 0.0), *_shared(directory)) if foreign(path, since)]
    if not folders:
        return False
    arguments = (str(os.geteuid()), str(os.getegid()), *(repr(since) for _, since in folders))
    errand = Errand(api, name, directory, FILES, "handing", arguments)
    mounts = [bind(path, f"{_FILES}/{number}", read_only=False) for number, (path, _) in enumerate(folders)]
    host = {"CapAdd": ["CHOWN", "DAC_OVERRIDE", "FOWNER"], "SecurityOpt": ["label=disable"]}
    text = errand.said(errand.start(mounts, host))
    if text != _DONE:
        raise failed(text)
    return True


def try_out(api: Api) -> None:
    """Has an errand do nothing. Raises EngineGone; EngineError says why errands cannot be done on this machine."""
    errand = Errand(api, f"wildsage-trial-{os.getpid()}", "", FILES, "handing", (str(os.geteuid()), str(os.getegid())))
    text = errand.said(errand.start([], {}))
    if text != _DONE:
        raise failed(text)


def share(directory: str, sources: list[str]) -> None:
    """Keeps for ``hand_over`` what a container that is about to begin may write to besides ``directory``."""
    user = os.geteuid()
    others = [path for path in sources if os.path.isdir(path) and not f"{path}/".startswith(f"{directory}/")]
    if user != 0:
        with open(f"{directory}/{_SHARED}", "w") as file:
            file.write("\0".join(path for path in others if os.stat(path).st_uid == user))


def _shared(directory: str) -> list[tuple[str, float]]:
    """Each with the time since when what is new there is the container's."""
    try:
        with open(f"{directory}/{_SHARED}") as file:
            return [(path, os.fstat(file.fileno()).st_mtime) for path in file.read().split("\0") if path]
    except FileNotFoundError:
        return []


def foreign(folder: str, since: float = 0.0) -> bool:
    """Whether something that changed since then is somebody else's, or may be."""
    waiting, user = [folder], os.geteuid()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    if about.st_uid != user and about.st_ctime >= since:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue  # it was taken away meanwhile
        except OSError:
            return True
    return False


def main() -> None:
    """Entry of the errand: the user, the group, and of each folder since when what is new there is the container's."""
    for number, since in enumerate(sys.argv[4:]):
        walk(f"{_FILES}/{number}", int(sys.argv[2]), int(sys.argv[3]), float(since))
    sys.stdout.write(_DONE)


def walk(root: str, user: int, group: int, since: float) -> None:
    """Gives all below ``root`` that changed since then to ``user``, who may read it. Follows no links, however deep."""
    folder = os.open(root, _FOLDER)
    if os.fstat(folder).st_uid != user:  # it was, before the container began
        os.chown(folder, user, group)
    levels = [_handed(folder, user, group, since)]
    while True:
        if levels[-1]:
            try:
                below = os.open(levels[-1].pop(), _FOLDER, dir_fd=folder)
            except OSError:
                continue  # it went away, or is no folder any more
            levels.append(_handed(below, user, group, since))
        else:
            levels.pop()
            if not levels:
                os.close(folder)
                return
            below = os.open("..", _FOLDER, dir_fd=folder)
        os.close(folder)
        folder = below


def _handed(folder: int, user: int, group: int, since: float) -> list[str]:
    """Gives what is in one folder to the user; returns the folders among it."""
    folders = []
    for name in os.listdir(folder):
        try:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                folders.append(name)
            if about.st_ctime >= since:
                _give(name, about, folder, user, group)
        except FileNotFoundError:
            continue  # others may be at work where it is shared
    return folders


def _give(name: str, about: os.stat_result, folder: int, user: int, group: int) -> None:
    """Its user may read it, and it makes nobody else its user who runs it."""
    if about.st_uid != user:
        os.chown(name, user, group, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode):
        mode = stat.S_IMODE(about.st_mode)
        wanted = mode | 0o700 if stat.S_ISDIR(about.st_mode) else mode & ~(stat.S_ISUID | stat.S_ISGID) | 0o400
        if mode != wanted:
            descriptor = os.open(name, _FILE, dir_fd=folder)
            os.fchmod(descriptor, wanted)
            os.close(descriptor)

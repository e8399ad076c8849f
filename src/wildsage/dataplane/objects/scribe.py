"""Writes the files of small blobs, in a process of its own: ``python scribe.py ROOT``; its standard input is a socket.

To make a file costs the kernel as much as all else about a small PUT, and waits whenever the file system commits.  Here
nobody waits for it, and it takes another core.  Standard library only, and little of it: it is 9 MB.

A batch (big-endian) is the number of files (u32), lengths of name (u16) and bytes (u32) for each, then all names and
bytes in order.  The answer is one byte: ``.`` if all of them were written, ``!`` if not.
"""

import os
import struct
import sys

COUNT = struct.Struct("!I")
LENGTHS = struct.Struct("!HI")
DONE, FAILED = b".", b"!"
_NICE = 10  # who waits for an answer goes first
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def main(root: str) -> None:
    """Until its socket is closed."""
    with open(0, "rb", buffering=1024 * 1024, closefd=False) as source:
        while head := source.read(COUNT.size):
            listed = source.read(LENGTHS.size * COUNT.unpack(head)[0])
            batch = [(source.read(name).decode(), source.read(size)) for name, size in LENGTHS.iter_unpack(listed)]
            os.write(0, DONE if _write(root, batch) else FAILED)


def _write(root: str, batch: list[tuple[str, bytes]]) -> bool:
    """False if any is not whole; who sent it finds out which."""
    fine = True
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # a reset makes another
    except OSError:
        return False
    try:
        for name, data in batch:
            try:
                _write_one(folder, name, data)
            except OSError:
                fine = False
    finally:
        os.close(folder)
    return fine


def _write_one(folder: int, name: str, data: bytes) -> None:
    try:
        file = os.open(name, _NEW, 0o666, dir_fd=folder)
    except FileNotFoundError:
        bucket, shard, _ = name.split("/", 2)
        for path in (bucket, f"{bucket}/{shard}"):
            try:
                os.mkdir(path, dir_fd=folder)
            except FileExistsError:
                continue
        file = os.open(name, _NEW, 0o666, dir_fd=folder)
    try:
        if os.write(file, data) < len(data):
            raise OSError("the disk is full")
    finally:
        os.close(file)


if __name__ == "__main__":
    os.nice(_NICE)
    main(sys.argv[1])

"""A plain HTTP client that signs, and what the server's processes use meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.load import cpu_seconds, resident_mb
from benchmarks.s3.signing import Place
from benchmarks.server import Server
from wildsage.core.settings import DataDir

PIECE = 1 << 20
_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_RESTING = 0.05  # seconds of CPU in such a time


def place_of(server: Server) -> Place:
    """Our server, with what ``wildsage env`` exports: the session of a role, whose policies count."""
    _await_objects(DataDir(server.data).objects_socket)
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return Place(*(server.environment[name] for name in names))


def _await_objects(path: Path) -> None:
    """Connections made before S3's own process listens stay with the router, as good but slower."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            if sock.connect_ex(str(path)) == 0:
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens at {path}")
        time.sleep(0.05)


def pids(data: Path) -> list[int]:
    """Every process of the server of a data directory."""
    told = json.loads((data / "run" / "server.json").read_text())
    return [told["pid"], *told["children"].values()]


def cpu(data: Path) -> float:
    """Seconds of CPU that the server has used so far."""
    return sum(cpu_seconds(pid) for pid in pids(data))


def await_rest(data: Path) -> None:
    """Returns once the server does next to nothing: what it puts off until then is not for a peer to pay."""
    found = set(pids(data))
    found |= {int(child) for pid in found for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    used = -_RESTING
    while (now := sum(cpu_seconds(pid) for pid in found if Path(f"/proc/{pid}").exists())) - used >= _RESTING:
        used = now
        time.sleep(_LOOK_SECONDS)


@dataclass(slots=True)
class Memory:
    """Resident memory of all processes together, in MB; ``peak`` is filled in at the end."""

    before: float
    peak: float = 0.0

    @property
    def growth(self) -> float:
        return self.peak - self.before


@contextlib.contextmanager
def watched(data: Path) -> Iterator[Memory]:
    """Looks at the server's memory twenty times a second."""
    found = pids(data)
    memory = Memory(sum(map(resident_mb, found)))
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            memory.peak = max(memory.peak, sum(map(resident_mb, found)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


class Connection:
    """One kept connection."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._http = http.client.HTTPConnection(urlsplit(place.url).netloc, blocksize=PIECE)

    def close(self) -> None:
        self._http.close()

    def send(
        self, method: str, path: str, body: bytes | Iterable[bytes] = b"", headers: dict[str, str] | None = None
    ) -> bytes:
        """The answer's body; ``headers`` where they are signed already. Raises RuntimeError for anything but a 2xx."""
        made = headers or self._place.headers(method, path, body if isinstance(body, bytes) else b"")
        self._http.request(method, path, body, made)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return text

    def drain(self, path: str) -> int:
        """Gets an object and counts its bytes."""
        self._http.request("GET", path, headers=self._place.headers("GET", path))
        answer = self._http.getresponse()
        buffer, size = bytearray(PIECE), 0
        while got := answer.readinto(buffer):
            size += got
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status}")
        return size

"""What the server's processes grow by while ten clients send, then fetch, a large object each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from benchmarks.report import Finding
from benchmarks.s3.client import PIECE, Connection, place_of, watched
from benchmarks.s3.signing import UNSIGNED, Place
from benchmarks.server import Server

BUCKET = "benchmark-memory"
_CLIENTS = 10
_BAR_MB = 64


def run(server: Server, mebibytes: int) -> Iterator[Finding]:
    place = place_of(server)
    first = Connection(place)
    first.send("PUT", f"/{BUCKET}")
    first.send("PUT", f"/{BUCKET}/warm", b"x" * PIECE)  # what any first transfer loads is no growth of many
    first.drain(f"/{BUCKET}/warm")
    first.close()
    for verb, transfer in (("sent", _upload), ("fetched", _download)):
        with watched(server.data) as memory:
            took = _at_once(place, transfer, mebibytes)
        what = f"{_CLIENTS} clients, {mebibytes} MiB each, {verb} at once"
        rate = _CLIENTS * mebibytes / took
        figure = f"+{memory.growth:.0f} MB to {memory.peak:.0f} MB; {rate:,.0f} MiB/s"
        yield Finding(what, figure, f"+{_BAR_MB} MB", memory.growth <= _BAR_MB)


def _upload(connection: Connection, place: Place, path: str, mebibytes: int) -> None:
    headers = {**place.headers("PUT", path, payload=UNSIGNED), "Content-Length": str(mebibytes * PIECE)}
    piece = bytes(range(256)) * (PIECE // 256)
    connection.send("PUT", path, (piece for _ in range(mebibytes)), headers)


def _download(connection: Connection, _place: Place, path: str, mebibytes: int) -> None:
    size = connection.drain(path)
    if size != mebibytes * PIECE:
        raise RuntimeError(f"{path} has {size} bytes")


def _at_once(place: Place, transfer: Callable[[Connection, Place, str, int], None], mebibytes: int) -> float:
    """Seconds until all are done."""
    failed: list[BaseException] = []

    def work(number: int) -> None:
        connection = Connection(place)
        try:
            transfer(connection, place, f"/{BUCKET}/object-{number}", mebibytes)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError("a transfer failed") from failed[0]
    return time.perf_counter() - began

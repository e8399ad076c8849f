"""Pages of a bucket with a million keys, seen by a client on one kept connection."""

from __future__ import annotations

import asyncio
import functools
import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from sqlalchemy import Connection as Transaction
from sqlalchemy import insert

from benchmarks.report import Finding, spread
from benchmarks.s3.client import Connection, cpu, place_of
from benchmarks.server import Server, wildsage
from wildsage.store.codec import dumps
from wildsage.store.database import Database
from wildsage.store.objecttables import objects

BUCKET = "benchmark-million"
_FOLDERS = _EACH = 1000
_BATCH = 20_000
_ROUNDS = 40
_BAR_MS = 20
# As PutObject leaves it.
_DOCUMENT = {
    "Headers": {"ContentType": "binary/octet-stream"},
    "Metadata": {},
    "Tags": {},
    "Checksums": {"CRC64NVME": "AAAAAAAAAAA="},
    "ChecksumType": "FULL_OBJECT",
}
PAGES: dict[str, dict[str, str]] = {
    "from the beginning": {},
    "from the middle": {"start-after": "folder-0500/object-0499"},
    "the last": {"start-after": f"folder-{_FOLDERS - 1:04}/"},
    "1,000 common prefixes": {"delimiter": "/"},
    "delimiter, one folder in the middle": {"delimiter": "/", "prefix": "folder-0500/"},
    "delimiter, ten common prefixes": {"delimiter": "/", "prefix": "folder-099"},
    "version 1, from the middle": {"marker": "folder-0500/object-0499"},
}


def fill(database: Path) -> None:
    """Writes the rows of a million objects into the index of a server that does not run; BUCKET is there."""
    asyncio.run(_fill(database))


async def _fill(path: Path) -> None:
    database = await Database.open(path)
    rows = _rows()
    while batch := list(itertools.islice(rows, _BATCH)):
        await database.write(functools.partial(_insert, batch))
    await database.close()


def _insert(rows: list[dict[str, object]], transaction: Transaction) -> None:
    transaction.execute(insert(objects), rows)


def _rows() -> Iterator[dict[str, object]]:
    now, document = time.time(), dumps(_DOCUMENT)
    for folder in range(_FOLDERS):
        for number in range(_EACH):
            yield {
                "bucket": BUCKET,
                "key": f"folder-{folder:04}/object-{number:04}".encode(),
                "rank": -int(now * 1_000_000),
                "version": "null",
                "visible": True,
                "marker": False,
                "size": 1024,
                "etag": f"{folder * _EACH + number:032x}",
                "modified": now,
                "blob": f"{BUCKET}/{folder // 4:02x}/{folder * _EACH + number:032x}~object",
                "document": document,
            }


def run(server: Server) -> Iterator[Finding]:
    """The first page, and pages of any depth."""
    connection = Connection(place_of(server))
    connection.send("PUT", f"/{BUCKET}")
    connection.close()
    wildsage("down", data=server.data)
    began = time.perf_counter()
    fill(server.data / "wildsage.db")
    yield Finding(f"an index of {_FOLDERS * _EACH:,} keys filled", f"{time.perf_counter() - began:.1f} s")
    wildsage("up", "--port", str(urlsplit(server.url).port), "--detach", data=server.data)
    for name, (took, used) in measure(server).items():
        figure = f"{spread(took, '.1f')} ms; server CPU {used * 1000:.1f} ms"
        yield Finding(f"  {name}", figure, f"{_BAR_MS} ms", statistics.median(took) <= _BAR_MS)


def measure(server: Server) -> dict[str, tuple[list[float], float]]:
    """Milliseconds of each page on one kept connection, from the request to the last byte of the answer.

    And the CPU seconds of all the server's processes for one, which say the same on a busy machine.
    """
    place = place_of(server)
    connection = Connection(place)
    figures: dict[str, tuple[list[float], float]] = {}
    for name, query in PAGES.items():
        fields = query if "marker" in query else {"list-type": "2", **query}
        path = f"/{BUCKET}?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(fields.items()))
        headers = place.headers("GET", path)
        took: list[float] = []
        used = cpu(server.data)
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            body = connection.send("GET", path, headers=headers)
            took.append((time.perf_counter() - began) * 1000)
            if b"</ListBucketResult>" not in body:
                raise RuntimeError(f"{name}: {body[:500]!r}")
        figures[name] = took, (cpu(server.data) - used) / _ROUNDS
    connection.close()
    return figures

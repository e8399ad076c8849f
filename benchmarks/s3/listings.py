"""Pages of a bucket with a million keys, seen by a client on one kept connection."""

from __future__ import annotations

import asyncio
import functools
import http.client
import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from sqlalchemy import Connection, insert

from benchmarks.s3.signing import Place
from wildsage.store.codec import dumps
from wildsage.store.database import Database
from wildsage.store.objecttables import objects

BUCKET = "benchmark-million"
_FOLDERS = _EACH = 1000
_BATCH = 20_000
# As PutObject leaves it.
_DOCUMENT = {
    "Headers": {"ContentType": "binary/octet-stream"},
    "Metadata": {},
    "Tags": {},
    "Checksums": {"CRC64NVME": "AAAAAAAAAAA="},
    "ChecksumType": "FULL_OBJECT",
}
PAGES = {
    "from the beginning": {},
    "from the middle": {"start-after": "folder-0500/object-0499"},
    "the last": {"start-after": f"folder-{_FOLDERS - 1:04}/"},
    "1,000 common prefixes": {"delimiter": "/"},
    "delimiter, one folder in the middle": {"delimiter": "/", "prefix": "folder-0500/"},
    "delimiter, ten common prefixes": {"delimiter": "9/", "prefix": "folder-099"},
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


def _insert(rows: list[dict[str, object]], connection: Connection) -> None:
    connection.execute(insert(objects), rows)


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


def measure(place: Place, rounds: int) -> dict[str, tuple[float, float]]:
    """Median and slowest of each page in milliseconds, from the request to the last byte of the answer."""
    netloc = urlsplit(place.url).netloc
    connection = http.client.HTTPConnection(netloc)
    figures: dict[str, tuple[float, float]] = {}
    for name, query in PAGES.items():
        fields = query if "marker" in query else {"list-type": "2", **query}
        path = f"/{BUCKET}?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(fields.items()))
        headers = place.headers("GET", path)
        took = []
        for _ in range(rounds):
            began = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            took.append((time.perf_counter() - began) * 1000)
            if answer.status != 200 or b"</ListBucketResult>" not in body:
                raise RuntimeError(f"{name}: {answer.status} {body[:500]!r}")
        figures[name] = statistics.median(took), max(took)
    connection.close()
    return figures

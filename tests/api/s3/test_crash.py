"""kill -9 in the middle of writing, again and again on the same data: nothing acknowledged is lost, nothing is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from collections import defaultdict
from pathlib import Path

from sqlalchemy import Connection, select
from tests.api.s3.harness import S3, close_platform, open_platform

from wildsage.store.objecttables import garbage, objects, parts

ROOT = Path(__file__).resolve().parents[3]
KILLS = 10
LINES = 250  # between start and kill, at most


class Told:
    """``held``: what each key holds by the last acknowledgement; ``perhaps``: what it may hold instead."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.perhaps: dict[str, set[str]] = defaultdict(set)
        self.acknowledged = 0

    def hear(self, line: str) -> None:
        word, key, digest = line.split()
        if word == "begin":
            self.perhaps[key].add(digest)
        else:
            self.held[key] = digest
            self.perhaps[key].clear()
            self.acknowledged += 1


async def write_and_kill(root: Path, seed: int, told: Told) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.api.s3.writer",
        str(root),
        str(seed),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=asyncio.subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    for _ in range(random.Random(seed).randrange(LINES)):
        told.hear((await process.stdout.readline()).decode())
    process.send_signal(signal.SIGKILL)
    for line in (await process.stdout.read()).decode().splitlines(keepends=True):
        if line.endswith("\n"):
            told.hear(line)
    await process.wait()


async def check(root: Path, told: Told) -> None:
    platform = await open_platform(root)
    s3 = S3(platform)
    keys = await s3.keys(Bucket="bucket")
    found = {}
    for key in keys:
        data = await s3.bytes(Bucket="bucket", Key=key)
        found[key] = hashlib.md5(data, usedforsecurity=False).hexdigest()
    for key in {*told.held, *told.perhaps, *found}:
        possible = told.perhaps[key] | {told.held.get(key, "-")}
        assert found.get(key, "-") in possible, key
        told.held[key] = found.get(key, "-")
        told.perhaps[key].clear()

    def named(connection: Connection) -> set[str]:
        assert connection.execute(select(garbage)).first() is None
        blobs = connection.execute(select(objects.c.blob).union(select(parts.c.blob))).scalars()
        return {name for name in blobs if name is not None}

    blobs = await platform.database.read(named)
    assert {str(path.relative_to(platform.settings.data.objects)) for path in s3.files()} == blobs
    await close_platform(platform)


async def test_no_acknowledged_write_is_lost_and_no_file_is_left(tmp_path: Path) -> None:
    told = Told()
    for seed in range(KILLS):
        await write_and_kill(tmp_path, seed, told)
        await check(tmp_path, told)
    assert told.acknowledged > 100

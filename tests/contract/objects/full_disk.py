"""Run in a mount namespace of its own: fills a small disk and says what became of it.

unshare -rm python -m tests.contract.objects.full_disk DIRECTORY
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from wildsage.objects.base import NoSpace
from wildsage.objects.local import LocalObjects

MIB = 1024 * 1024


async def zeros(count: int) -> AsyncIterator[bytes]:
    for _ in range(count // 10_000):
        yield bytes(10_000)


async def main(root: Path) -> None:
    objects = LocalObjects(root)
    kept = await objects.write("bucket", "kept", zeros(2 * MIB))
    refused = 0
    for attempt in (objects.write("bucket", "large", zeros(8 * MIB)), objects.join("bucket", "join", [kept.name] * 3)):
        try:
            await attempt
        except NoSpace:
            refused += 1
    again = await objects.write("bucket", "small", zeros(MIB))
    files = sorted(path.stat().st_size for path in (root / "bucket").rglob("*") if path.is_file())
    print(refused, files == sorted([kept.size, again.size]), len(await objects.unsettled()))
    objects.close()


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", sys.argv[1]], check=True)
    asyncio.run(main(Path(sys.argv[1])))

"""A process that is killed: writes, completes uploads and deletes, and says on stdout what it begins and what is done.

    python -m tests.api.s3.writer DIRECTORY SEED

Lines: ``begin KEY DIGEST`` before an operation and ``done KEY DIGEST`` once it is acknowledged; DIGEST is the MD5 of
what the key then holds, ``-`` for nothing. Every key has one worker, so its lines are in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from pathlib import Path

from tests.api.s3.harness import S3, open_platform

from wildsage.core.errors import ApiError

WORKERS = 8
_PART = 5 * 1024 * 1024


def say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


async def upload(s3: S3, key: str, pieces: list[bytes]) -> None:
    where = {"Bucket": "bucket", "Key": key}
    where["UploadId"] = (await s3("CreateMultipartUpload", **where))["UploadId"]
    parts = []
    for number, piece in enumerate(pieces, 1):
        part = await s3("UploadPart", **where, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    await s3("CompleteMultipartUpload", **where, MultipartUpload={"Parts": parts})


async def work(s3: S3, worker: int, chance: random.Random) -> None:
    while True:
        key = f"{worker}/{chance.randrange(4)}"
        kind = chance.random()
        if kind < 0.1:
            say("begin", key, "-")
            await s3("DeleteObject", Bucket="bucket", Key=key)
            say("done", key, "-")
            continue
        small = chance.randbytes(chance.randrange(100_000))
        pieces = [bytes(_PART), small] if kind > 0.95 else [small]
        digest = hashlib.md5(b"".join(pieces), usedforsecurity=False).hexdigest()
        say("begin", key, digest)
        if kind > 0.8:
            await upload(s3, key, pieces)
        else:
            await s3("PutObject", Bucket="bucket", Key=key, Body=small)
        say("done", key, digest)


async def main(root: Path, seed: int) -> None:
    s3 = S3(await open_platform(root))
    try:
        await s3("HeadBucket", Bucket="bucket")
    except ApiError:
        await s3("CreateBucket", Bucket="bucket")
    say("ready")
    await asyncio.gather(*(work(s3, worker, random.Random(seed * 100 + worker)) for worker in range(WORKERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))

"""``python -m wildsage.dataplane.objects``: the objects process. SIGTERM and SIGINT end it after its last answers."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import uvloop

from wildsage.core.addresses import reached_at
from wildsage.core.settings import DataDir
from wildsage.core.upstream import s3_upstream
from wildsage.dataplane.objects.process import ObjectsProcess
from wildsage.dataplane.running import raise_descriptors, settle, told_to_stop


def main() -> int:
    options = _options()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    host = reached_at(options.host)
    uvloop.run(_run(DataDir(Path(options.data).absolute()), f"tcp:{host}:{options.port}", options.lifeline))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wildsage.dataplane.objects", description="Serves S3's objects.")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--host", required=True, help="where the router listens")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lifeline", type=int, help="a pipe's end that closes when the supervisor is gone")
    return parser.parse_args()


async def _run(data: DataDir, router: str, lifeline: int | None) -> None:
    raise_descriptors()
    stop = told_to_stop(lifeline)
    process = ObjectsProcess(data, router, upstream=s3_upstream(os.environ))
    await process.start()
    settle()
    await stop.wait()
    await process.close()


if __name__ == "__main__":
    sys.exit(main())

"""``python -m wildsage.dataplane.transform FOLDER``: carries the data of one instance of a batch transform job.

FOLDER has the order (see ``core.transforms``); AWS_CONTAINER_CREDENTIALS_FULL_URI says where the role's credentials
are. Ends with 0 if all objects went well, with 3 if some failed, and the reason in FOLDER; after SIGTERM with 143.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import uvloop

from wildsage.core.transforms import FAILED, OBJECTS, ORDER, items_of, order_of
from wildsage.dataplane.transform.container import Containers
from wildsage.dataplane.transform.s3 import S3
from wildsage.dataplane.transform.work import Work

_STOPPED = 128 + signal.SIGTERM


async def _run(folder: Path) -> int:
    order = order_of((folder / ORDER).read_text())
    with (folder / OBJECTS).open() as lines:
        items = items_of(lines)
    s3 = S3(order.door, order.region, os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    containers = Containers(order)
    work = asyncio.ensure_future(Work(order, items, folder, s3, containers).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        return 0 if await work else FAILED
    except asyncio.CancelledError:
        return _STOPPED
    finally:
        containers.close()
        s3.close()


def main() -> int:
    gc.freeze()
    return uvloop.run(_run(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())

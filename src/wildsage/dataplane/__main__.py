"""``python -m wildsage.dataplane``: a router process.

Prints ``listening on http://HOST:PORT`` once it takes requests; SIGTERM and SIGINT end it after what it is answering.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from pathlib import Path

import uvloop

from wildsage.core.invocations import invocation_limits
from wildsage.core.settings import DEFAULT_PORT, DataDir, metadata_allowed
from wildsage.dataplane.router import Router
from wildsage.dataplane.running import raise_descriptors, settle, told_to_stop


def main() -> int:
    options = _options()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.fd is not None:
        listener = socket.socket(fileno=options.fd)
    else:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        address = options.host, options.port
        listener = socket.create_server(address, family=family, backlog=4096, reuse_port=options.share)
    uvloop.run(_run(DataDir(Path(options.data).absolute()), listener, options.number, options.lifeline))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wildsage.dataplane", description="The router of a data directory.")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 picks a free one")
    parser.add_argument("--fd", type=int, help="a bound socket to inherit instead of --host and --port")
    parser.add_argument("--number", type=int, default=0, help="which of the routers of this data directory it is")
    parser.add_argument("--share", action="store_true", help="let other routers have the port, too")
    parser.add_argument("--lifeline", type=int, help="a pipe's end that closes when the supervisor is gone")
    return parser.parse_args()


async def _run(data: DataDir, listener: socket.socket, number: int, lifeline: int | None) -> None:
    raise_descriptors()
    data.run.mkdir(parents=True, exist_ok=True)
    stop = told_to_stop(lifeline)
    router = Router(data, listener, number, invocation_limits(os.environ), metadata=metadata_allowed(os.environ))
    await router.start()
    host, port = router.home()
    print(f"listening on http://{host}:{port}", flush=True)
    settle()
    await stop.wait()
    await router.close()


if __name__ == "__main__":
    sys.exit(main())

"""``wildsage down``."""

from __future__ import annotations

import argparse
import os
import signal
import time

from wildsage.cli.server_file import alive, running
from wildsage.core.errors import WildsageError
from wildsage.core.settings import data_dir

_SECONDS = 60.0


def main(options: argparse.Namespace) -> int:
    data = data_dir(os.environ, options.data)
    server = running(data)
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS
    while alive(server.pid):
        if time.monotonic() > deadline:
            raise WildsageError(f"the server (process {server.pid}) is still stopping after {_SECONDS:.0f} seconds")
        time.sleep(0.01)
    print(f"Wildsage on {data.root} has stopped.")
    return 0

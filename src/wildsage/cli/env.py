"""``wildsage env``."""

from __future__ import annotations

import argparse
import os
import shlex
import time

from wildsage.cli.environment import client_environment, removed
from wildsage.cli.server_file import running
from wildsage.core.settings import data_dir


def main(options: argparse.Namespace) -> int:
    data = data_dir(os.environ, options.data)
    wanted = client_environment(data, running(data), os.environ, time.time())
    for name in removed(os.environ):
        print(f"unset {name}")
    for name, value in wanted.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0

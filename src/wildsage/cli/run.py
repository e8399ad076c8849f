"""``wildsage run``: becomes the command, with the environment."""

from __future__ import annotations

import argparse
import os
import sys
import time

from wildsage.cli.environment import client_environment, removed
from wildsage.cli.server_file import running
from wildsage.core.errors import SettingsError
from wildsage.core.settings import data_dir


def main(options: argparse.Namespace) -> int:
    words: list[str] = options.words
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        raise SettingsError("what shall be run? For example: wildsage run -- python script.py")
    data = data_dir(os.environ, options.data)
    environment = {name: value for name, value in os.environ.items() if name not in removed(os.environ)}
    environment |= client_environment(data, running(data), os.environ, time.time())
    sys.stdout.flush()
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        raise SettingsError(f"{words[0]} cannot be run: {error.strerror}") from error

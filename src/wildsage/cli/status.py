"""``wildsage status``."""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

from wildsage.cli.ask import NoAnswer, ask
from wildsage.cli.server_file import running
from wildsage.core import credentials as server_credentials
from wildsage.core.settings import data_dir


def main(options: argparse.Namespace) -> int:
    data = data_dir(os.environ, options.data)
    server = running(data)
    shown: dict[str, Any] = {
        "url": server.url,
        "data": str(data.root),
        "region": server.region,
        "pid": server.pid,
        "processes": server.children,
        "up_seconds": round(time.time() - server.started, 1),
        "ephemeral": server.ephemeral,
    }
    try:
        shown["role"] = server_credentials.load(data.credentials).role_arn
        shown |= ask(data.control_socket, "/_wildsage/status")
        shown["control"] = "ready"
    except (NoAnswer, FileNotFoundError) as error:
        shown["control"] = f"not answering: {error}"
    if options.json:
        print(json.dumps(shown, indent=2))
    else:
        width = max(len(name) for name in shown)
        for name, value in shown.items():
            print(f"{name.replace('_', ' '):<{width}}  {_plain(value)}")
    return 0 if shown["control"] == "ready" else 1


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items()) or "none"
    return str(value)

"""``wildsage``: one command, read here, done by the module of its name.

Only the module that is asked for is loaded: ``up`` must stay small, for it is a process that stays.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import wildsage
from wildsage.core.errors import WildsageError
from wildsage.core.settings import DEFAULT_PORT

# command → the module whose ``main(options) -> exit status`` does it
COMMANDS = {
    "up": "wildsage.cli.up",
    "down": "wildsage.cli.down",
    "status": "wildsage.cli.status",
    "env": "wildsage.cli.env",
    "run": "wildsage.cli.run",
    "demo": "wildsage.cli.demo",
    "doctor": "wildsage.cli.doctor",
    "images": "wildsage.cli.images",
    "interrupt": "wildsage.cli.interrupt",
}
_DATA_HELP = "data directory (default: WILDSAGE_DATA, or ~/.wildsage)"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="wildsage", description="Amazon SageMaker's API on your own machine.")
    top.add_argument("--version", action="version", version=f"wildsage {wildsage.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the server")
    up.add_argument("--data", help=_DATA_HELP)
    up.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    up.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port (default: {DEFAULT_PORT}; 0: a free one)")
    up.add_argument("--routers", type=int, help="processes that share the port (default: WILDSAGE_ROUTERS, or 1)")
    up.add_argument("--detach", action="store_true", help="return once the server is ready and leave it running")
    up.add_argument("--ephemeral", action="store_true", help="a temporary data directory, gone when the server ends")

    for name, words in (
        ("down", "stop the server"),
        ("env", 'print shell exports for AWS clients: eval "$(wildsage env)"'),
        ("doctor", "what this machine can run, and how to get what is missing"),
    ):
        commands.add_parser(name, help=words).add_argument("--data", help=_DATA_HELP)

    status = commands.add_parser("status", help="show the server")
    status.add_argument("--data", help=_DATA_HELP)
    status.add_argument("--json", action="store_true", help="as JSON")

    run = commands.add_parser("run", help="run a command with the environment that AWS clients need")
    run.add_argument("--data", help=_DATA_HELP)
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND …")

    _images(
        commands.add_parser("images", help="what images there are, and what runs them; build and remove environments")
    )

    interrupt = commands.add_parser("interrupt", help="take the instances of a managed spot training job away")
    interrupt.add_argument("--data", help=_DATA_HELP)
    interrupt.add_argument("--region", help="the job's region (default: the server's)")
    interrupt.add_argument(
        "--capacity-after",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="until there are instances again, so that the job goes on (default: 0)",
    )
    interrupt.add_argument("job", help="its name")

    demo = commands.add_parser("demo", help="the main job on real data, told step by step")
    demo.add_argument("--data", help="use the server of this data directory; one is started if none runs")
    return top


def _images(images: argparse.ArgumentParser) -> None:
    images.add_argument("--data", help=_DATA_HELP)
    images.add_argument("--json", action="store_true", help="as JSON")
    images.add_argument("action", nargs="?", choices=("list", "explain", "push", "build", "remove"), default="list")
    images.add_argument(
        "name",
        nargs="?",
        help="the environment to build or remove (requirements: all that jobs' requirements.txt brought); or the URI "
        "of an image, of which explain says what runs it and why, and which push puts into the server's registry",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 where a thing went wrong, 2 where the person must change something."""
    options = parser().parse_args(arguments)
    command = importlib.import_module(COMMANDS[options.command])
    try:
        status: int = command.main(options)
        sys.stdout.flush()
    except WildsageError as error:
        print(f"wildsage: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has seen enough
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())

"""S3 beside its peers, in one run, with the bars of each figure.

    python -m benchmarks.s3 [small bulk memory listings sync] [--rounds 5] [--seconds 3] [--mebibytes 1024]
                            [--peers FOLDER | --no-peers]

Needs wrk and nginx (Debian's); MiniStack and moto are installed into .venv-peers on first use. Every section has a
server of its own on a temporary data directory ($TMPDIR), and ``memory`` needs 10 GiB of disk there. Exit status 1 if
a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Finding
from benchmarks.s3 import bulk, listings, memory, peers, small, sync
from benchmarks.server import running_server

SECTIONS = ("small", "bulk", "memory", "listings", "sync")


def section(name: str, options: argparse.Namespace, bin_folder: Path | None) -> Iterator[Finding]:
    """Runs one section on a server of its own."""
    with running_server() as server:
        if name == "small":
            yield from small.run(server, options.rounds, options.seconds, bin_folder)
        elif name == "bulk":
            yield from bulk.run(server, options.rounds, options.seconds)
        elif name == "memory":
            yield from memory.run(server, options.mebibytes)
        elif name == "listings":
            yield from listings.run(server)
        else:
            yield from sync.run(server)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.s3", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--mebibytes", type=int, default=1024, help="of each of the ten objects of `memory`")
    parser.add_argument("--peers", type=Path, help="an environment that has MiniStack and moto")
    parser.add_argument("--no-peers", action="store_true", help="without MiniStack and moto")
    options = parser.parse_args()
    chosen = options.sections or SECTIONS
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    lacking = peers.missing()
    if lacking:
        print(f"missing: apt-get install {' '.join(lacking)}", file=sys.stderr)
        return 2
    bin_folder = None
    if "small" in chosen and not options.no_peers:
        bin_folder = peers.environment() if options.peers is None else options.peers / "bin"
    missed = 0
    for name in chosen:
        for finding in section(name, options, bin_folder):
            print(finding, flush=True)
            missed += not finding.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

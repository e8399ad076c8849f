"""Real-time hosting beside its peers, in one run, with the bars of each figure.

    python -m benchmarks.hosting [everything payloads endpoints crowd peers] [--rounds 5] [--seconds 3]
        [--endpoints 500] [--servers FOLDER]

everything: an endpoint with two variants, SigV4, metrics and capture at 10 %, beside the model server itself.
payloads: a router with 1 MB each way and with streams, beside the model server itself; two routers beside one.
endpoints: a router that knows 1,000 endpoints, beside one that knows one.
crowd: an endpoint among many real ones that are scaled to zero (--endpoints, 20 MB each), beside the same one alone.
peers: scikit-learn's iris with everything on, beside Ray Serve, LitServe and nginx + gunicorn + Flask.

Needs wrk and nginx (Debian's); the peers are installed into .venv-servers on first use. Exit status 1 if a bar is
missed. Each section says which process is on which core; a busy machine spoils rates and times, hence the CPU time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.hosting import crowd, endpoints, everything, payloads, peers
from benchmarks.report import Finding
from benchmarks.s3.peers import environment, missing
from benchmarks.server import running_server

SECTIONS = ("everything", "payloads", "endpoints", "crowd", "peers")


def section(name: str, options: argparse.Namespace) -> Iterator[Finding]:
    rounds, seconds = options.rounds, options.seconds
    if name == "payloads":
        yield from payloads.run(rounds, seconds)
    elif name == "endpoints":
        yield from endpoints.run(rounds, seconds)
    elif name == "crowd":
        os.environ.update(crowd.IDLE)
        with running_server() as server:
            yield from crowd.run(server, rounds, seconds, options.endpoints)
    else:
        with running_server() as server:
            if name == "everything":
                yield from everything.run(server, rounds, seconds)
            else:
                packages = options.servers or environment("servers").parent
                yield from peers.run(server, packages, rounds, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hosting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--endpoints", type=int, default=500)
    parser.add_argument("--servers", type=Path, help="an environment that has the peers")
    options = parser.parse_args()
    chosen = options.sections or SECTIONS
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    lacking = missing()
    if lacking:
        print(f"missing: apt-get install {' '.join(lacking)}", file=sys.stderr)
        return 2
    missed = 0
    for name in chosen:
        print(f"-- {name}", flush=True)
        for finding in section(name, options):
            print(finding, flush=True)
            missed += not finding.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

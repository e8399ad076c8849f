"""Every benchmark, one after the other: ``python -m benchmarks``, or ``make bench``, which also gets the peers.

Names run those alone: ``python -m benchmarks router s3``. One with options of its own is ``python -m benchmarks.s3 …``.
Peers run beside us in the same run; docs/benchmarks.md holds the figures of a quiet machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

MODULES = (
    "startup",
    "launch",
    "containers",
    "jobs",
    "queue",
    "logs",
    "history",
    "inputs",
    "router",
    "hosting",
    "modelserver",
    "transform",
    "asynchronous",
    "series",
    "multimodel",
    "serverless",
    "functions",
    "triton",
    "s3",
    "registry",
)


def main() -> int:
    chosen = sys.argv[1:] or MODULES
    unknown = [name for name in chosen if name not in MODULES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(MODULES)}", file=sys.stderr)
        return 2
    print(f"{os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}", flush=True)
    failed = 0
    for name in chosen:
        print(f"\n== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

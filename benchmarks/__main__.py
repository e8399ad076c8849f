"""Every benchmark, one after the other: ``python -m benchmarks``, or ``make bench``, which also gets the peers.

Peers run beside us in the same run; docs/benchmarks.md holds the figures of a quiet machine.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

MODULES = ("startup", "launch", "jobs", "router", "modelserver")


def main() -> int:
    print(f"{os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}", flush=True)
    failed = 0
    for name in MODULES:
        print(f"\n== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""A network with no way out, which counts who tries.

A command runs in a network namespace of its own that has loopback and one more interface, with the default route, that
leads nowhere.  Whatever is sent to any address but loopback (a connection, a name looked up) is counted there.

    python -m tests.offline COMMAND …      runs COMMAND so; fails if a packet left
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_INTERFACE = "nowhere0"
_PEER = "nowhere1"
_SETUP = (
    "ip link set lo up",
    f"ip link add {_INTERFACE} type veth peer name {_PEER}",
    f"ip link set {_INTERFACE} addrgenmode none",
    f"ip link set {_PEER} addrgenmode none",
    f"ip link set {_PEER} up",
    f"ip link set {_INTERFACE} up",
    f"ip address add 198.51.100.2/24 dev {_INTERFACE}",
    f"ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:01 dev {_INTERFACE}",
    f"ip route add default via 198.51.100.1 dev {_INTERFACE}",
)
LEFT = 87  # exit status: the command went well but packets left


def run_offline(
    command: Sequence[str], environment: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Runs ``command`` without a way out; ``returncode`` is LEFT if it tried one, else its own."""
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return subprocess.run(
        [*unshare, sys.executable, "-m", "tests.offline", *command],
        env=dict(environment),
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _sent() -> int:
    """Packets that were sent out so far (/sys would show the namespace that it was mounted in)."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == _INTERFACE:
            return int(numbers.split()[9])
    raise RuntimeError(f"{_INTERFACE} is gone")


def main() -> int:
    for step in _SETUP:
        subprocess.run(step.split(), check=True)
    before = _sent()
    status = subprocess.run(sys.argv[1:], check=False).returncode
    left = _sent() - before
    if left:
        print(f"{left} packets were sent to addresses other than loopback", file=sys.stderr)
    return status or (LEFT if left else 0)


if __name__ == "__main__":
    sys.exit(main())

"""How long `wildsage up` takes until its health route answers 200, and what the idle server holds in memory.

    python benchmarks/startup.py [--runs N]

Bars: 0.6 s, and 150 MB resident for all processes together. Exit status 1 if one is missed.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR_SECONDS = 0.6
BAR_MEGABYTES = 150.0
_SETTLE_SECONDS = 3.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """Byte code may be written: an installed package has it."""
    source = str(Path(__file__).resolve().parents[1] / "src")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": source}


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/_wildsage/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def start(data: Path) -> tuple[float, subprocess.Popen[bytes]]:
    """Seconds from the start of the command to a 200, and the process."""
    port = free_port()
    command = [sys.executable, "-m", "wildsage.cli", "up", "--data", str(data), "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    while not healthy(port):
        if process.poll() is not None:
            raise SystemExit("wildsage up ended before it was ready")
        time.sleep(0.002)
    return time.perf_counter() - began, process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(inner for child in children for inner in family(int(child)))]


def megabytes(pid: int, field: str) -> float:
    """``Rss`` or ``Pss`` of one process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) / 1024
    raise LookupError(field)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs: int = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="ws-bench-"))
    firsts, laters = [], []
    try:
        stop(start(folder / "warm")[1])  # byte code and file cache
        for number in range(runs):
            seconds, process = start(folder / str(number))
            stop(process)
            firsts.append(seconds)
            seconds, process = start(folder / str(number))
            laters.append(seconds)
            if number < runs - 1:
                stop(process)
        time.sleep(_SETTLE_SECONDS)
        pids = family(process.pid)
        resident = {field: [megabytes(pid, field) for pid in pids] for field in ("Rss", "Pss")}
        stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    first, later = statistics.median(firsts), statistics.median(laters)
    total = sum(resident["Rss"])
    print(f"first start   median {first:.3f} s  (fastest {min(firsts):.3f}, slowest {max(firsts):.3f})")
    print(f"later start   median {later:.3f} s  (fastest {min(laters):.3f}, slowest {max(laters):.3f})")
    print(f"bar           {BAR_SECONDS} s")
    each = ", ".join(f"{value:.1f}" for value in resident["Rss"])
    print(
        f"idle resident {total:.1f} MB over {len(pids)} processes ({each}); proportional {sum(resident['Pss']):.1f} MB"
    )
    print(f"bar           {BAR_MEGABYTES:.0f} MB")
    return 0 if max(first, later) <= BAR_SECONDS and total <= BAR_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())

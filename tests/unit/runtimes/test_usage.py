"""What containers at rest hold is looked at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from wildsage.runtimes.sandbox.usage import Processes

_PROGRAM = """
import sys, threading

def grow():
    kept.append(bytearray(50_000_000))

kept = []
print("up", flush=True)
for line in sys.stdin:
    thread = threading.Thread(target=grow)
    thread.start()
    thread.join()
    print("grown", flush=True)
"""


def test_what_has_not_run_holds_what_it_held(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        processes, below = Processes(), [process.pid]
        before = processes.held(os.getpid(), below, tmp_path)
        while (now := processes.held(os.getpid(), below, tmp_path)) is not before:
            before = now  # it was still on its way to sleep
        assert before.memory > 0
        process.stdin.write("\n")
        assert process.stdout.readline() == "grown\n"
        assert processes.held(os.getpid(), below, tmp_path).memory > before.memory + 40_000_000
        assert processes.held(os.getpid(), [*below, os.getpid()], tmp_path) is not before
    assert processes.held(os.getpid(), below, tmp_path).ran == ()

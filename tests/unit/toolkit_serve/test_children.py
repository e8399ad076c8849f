"""Processes that a model server forks."""

from __future__ import annotations

import subprocess
import sys

# Its child is told to end at once, a thousand times; 0 if each did.
_PROGRAM = """
import os, signal, time
from wildsage.toolkit.serving import children

heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
for _ in range(1000):
    pid = children.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
os.kill(os.getpid(), signal.SIGTERM)
assert heard == [1]
"""


def test_a_child_that_is_told_to_end_at_once_ends() -> None:
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True, timeout=120)

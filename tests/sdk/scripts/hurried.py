"""Runs a script as it is, but for the SDK's pauses between two looks, which are up to 30 s: a second at most.

python hurried.py SCRIPT …
"""

import runpy
import sys
import time
from pathlib import Path

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(seconds, 1.0))
del sys.argv[0]
sys.path[0] = str(Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")

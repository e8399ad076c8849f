"""SDK v2, unchanged: the example of a pipeline, but for the SDK's pauses between two looks, which are up to 30 s."""

import runpy
import sys
import time

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(seconds, 0.5))
runpy.run_path(sys.argv[2], run_name="__main__")

"""Runs a script as ``python SCRIPT`` would; mpirun ends all processes once one of them fails."""

from __future__ import annotations

import runpy
import sys

sys.modules.pop("mpi4py", None)  # the script finds no mpi4py, and is told why
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")

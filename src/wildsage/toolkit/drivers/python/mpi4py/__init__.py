"""What ``python -m mpi4py SCRIPT`` runs where mpi4py is not installed; everybody else gets the real one."""

from __future__ import annotations

import contextlib
import sys

from wildsage_installed import take_over

_REMEDY = "The script runs under mpirun all the same; to use MPI from Python, name mpi4py in requirements.txt."

# While `python -m` looks for what it shall run, its own name is not known yet.
with contextlib.suppress(ModuleNotFoundError) if sys.argv[0] == "-m" else contextlib.nullcontext():
    take_over("mpi4py", _REMEDY)

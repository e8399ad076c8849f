"""Run by mpirun on two hosts: each rank tells which it is and where."""

import os
import pathlib
import socket

rank, size = os.environ["OMPI_COMM_WORLD_RANK"], os.environ["OMPI_COMM_WORLD_SIZE"]
assert os.environ["SM_CURRENT_HOST"] == socket.gethostname()
pathlib.Path("/opt/ml/model", f"rank-{rank}").write_text(f"{size} {socket.gethostname()}")

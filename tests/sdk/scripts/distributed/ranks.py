"""What mpirun tells each of its processes."""

import os

rank, size = (os.environ[f"OMPI_COMM_WORLD_{name}"] for name in ("RANK", "SIZE"))
with open(f"{os.environ['SM_MODEL_DIR']}/rank-{rank}", "w") as file:
    file.write(f"{size} {os.environ['SM_CURRENT_HOST']}")

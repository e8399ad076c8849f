"""Two epochs, one for each attempt but the last; each waits for its interruption and leaves a checkpoint."""

import os
import pathlib
import signal
import sys
import time

EPOCHS = 2
CHECKPOINTS = pathlib.Path("/opt/ml/checkpoints")
found = sorted(path.name for path in CHECKPOINTS.glob("epoch-*"))
epoch = len(found)


def save(*_):
    (CHECKPOINTS / f"epoch-{epoch}").write_text("weights")
    sys.exit(1)


signal.signal(signal.SIGTERM, save)
print(f"begins with epoch {epoch}", flush=True)
if epoch == EPOCHS:
    pathlib.Path(os.environ["SM_MODEL_DIR"], "epochs").write_text(f"{epoch} after {found}")
    sys.exit(0)
while True:
    time.sleep(60)

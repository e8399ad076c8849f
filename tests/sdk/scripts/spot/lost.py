"""Its first attempt waits for ever, after a checkpoint; the next goes on from there."""

import os
import pathlib
import time

checkpoint = pathlib.Path("/opt/ml/checkpoints/here")
if checkpoint.exists():
    pathlib.Path(os.environ["SM_MODEL_DIR"], "resumed").write_text("yes")
else:
    checkpoint.write_text("weights")
    print("waits to be lost", flush=True)
    while True:
        time.sleep(60)

"""Says which jobs have left something in the warm pool's cache, and leaves something there."""

import os
from pathlib import Path

cache = Path(os.environ["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"])
print(f"cached by {len(list(cache.glob('*.txt')))} jobs", flush=True)
(cache / f"{os.environ['TRAINING_JOB_NAME']}.txt").touch()

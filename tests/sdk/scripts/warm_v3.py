"""SDK v3's warm pools: two trainers, one after the other on the same instance; the pool is kept longer, then ended."""

import sys
import time
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import ResourceConfigForUpdate
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer

session = Session()


def trained():
    """A job that is over."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve("sklearn", session.boto_region_name, "1.2-1", instance_type="ml.m5.large"),
        source_code=SourceCode(source_dir=str(Path(sys.argv[1]) / "warm"), entry_script="train.py"),
        compute=Compute(
            instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=8, keep_alive_period_in_seconds=1800
        ),
        base_job_name="warm-v3",
        role=get_execution_role(),
        sagemaker_session=session,
    )
    trainer.train(wait=False)
    job = trainer._latest_training_job
    job.wait(poll=1, logs=True)
    return job.refresh()


first = trained()
assert first.warm_pool_status.status == "Available", first.warm_pool_status
second = trained()
pool = first.refresh().warm_pool_status
assert (pool.status, pool.reused_by_job) == ("Reused", second.training_job_name), pool
available = [job.training_job_name for job in TrainingJob.get_all(warm_pool_status_equals="Available")]
assert second.training_job_name in available, available
second.update(resource_config=ResourceConfigForUpdate(keep_alive_period_in_seconds=3600))
assert second.resource_config.keep_alive_period_in_seconds == 3600, second.resource_config
second.update(resource_config=ResourceConfigForUpdate(keep_alive_period_in_seconds=1))  # it leaves out a 0
while second.refresh().warm_pool_status.status != "Terminated":
    time.sleep(0.2)
print("warm: all done")

"""SDK v2's warm pools: two estimators on the same instance; the pool is kept longer, then ended."""

import sys
import time
from pathlib import Path

import sagemaker
from sagemaker.sklearn import SKLearn

session = sagemaker.Session()


def trained(**changes):
    """The name of a job that is over, and what it said."""
    estimator = SKLearn(
        entry_point="train.py",
        source_dir=str(Path(sys.argv[1]) / "warm"),
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        instance_count=1,
        volume_size=7,
        role=sagemaker.get_execution_role(),
        sagemaker_session=session,
        environment={"PIP_CACHE_DIR": "/opt/ml/sagemaker/warmpoolcache/pip"},
        base_job_name="warm-v2",
        **changes,
    )
    estimator.fit(wait=True, logs="All")
    return estimator.latest_training_job.job_name


def pool(name):
    return session.describe_training_job(name)["WarmPoolStatus"]


first = trained(keep_alive_period_in_seconds=1800)
assert pool(first)["Status"] == "Available", pool(first)
second = trained(keep_alive_period_in_seconds=1800)
assert (pool(first)["Status"], pool(first)["ReusedByJob"]) == ("Reused", second), pool(first)
assert pool(second)["Status"] == "Available", pool(second)
attached = SKLearn.attach(second, sagemaker_session=session)
assert attached.keep_alive_period_in_seconds == 1800
session.update_training_job(second, resource_config={"KeepAlivePeriodInSeconds": 3600})
assert session.describe_training_job(second)["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 3600
session.update_training_job(second, resource_config={"KeepAlivePeriodInSeconds": 0})
while pool(second)["Status"] != "Terminated":
    time.sleep(0.2)
print("warm: all done")

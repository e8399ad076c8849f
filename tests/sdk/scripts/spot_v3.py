"""SDK v3, unchanged: managed spot training that resumes from its checkpoints, and a job that is tried again."""

import io
import sys
import tarfile

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.training.configs import CheckpointConfig, Compute, RetryStrategy, SourceCode, StoppingCondition
from sagemaker.train import ModelTrainer


def train(session, script, name, stopping, spot=False, retry=None):
    """The job, and what is in its model.tar.gz."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve(
            "sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large"
        ),
        source_code=SourceCode(source_dir=f"{sys.argv[1]}/spot", entry_script=script),
        compute=Compute(
            instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5, enable_managed_spot_training=spot
        ),
        stopping_condition=StoppingCondition(**stopping),
        checkpoint_config=CheckpointConfig(s3_uri=f"s3://{session.default_bucket()}/{name}/checkpoints"),
        base_job_name=name,
        role=get_execution_role(),
        sagemaker_session=session,
    )
    if retry is not None:
        trainer.with_retry_strategy(retry)
    trainer.train(wait=False)
    job = trainer._latest_training_job
    job.wait(poll=1)
    job.refresh()
    bucket, _, key = job.model_artifacts.s3_model_artifacts.removeprefix("s3://").partition("/")
    body = session.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return job, {each.name: tar.extractfile(each).read().decode() for each in tar if each.isfile()}


def main():
    session = Session()
    spot = {"max_runtime_in_seconds": 600, "max_wait_time_in_seconds": 900}
    job, left = train(session, "train.py", "spot-v3", spot, spot=True)
    assert left == {"epochs": "2 after ['epoch-0', 'epoch-1']"}, left
    stages = [each.status for each in job.secondary_status_transitions]
    assert stages.count("Interrupted") >= 2, stages
    assert job.billable_time_in_seconds <= job.training_time_in_seconds, job
    retry = RetryStrategy(maximum_retry_attempts=2)
    _, left = train(session, "lost.py", "lost-v3", {"max_runtime_in_seconds": 600}, retry=retry)
    assert left == {"resumed": "yes"}, left
    print("spot: all done")


if __name__ == "__main__":
    main()

"""SDK v2, unchanged: managed spot training that resumes from its checkpoints, and a job that is tried again."""

import io
import sys
import tarfile

import sagemaker
from sagemaker.sklearn import SKLearn


def train(session, script, name, **asked):
    """The job's description, and what is in its model.tar.gz."""
    estimator = SKLearn(
        entry_point=script,
        source_dir=f"{sys.argv[1]}/spot",
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        role=sagemaker.get_execution_role(),
        sagemaker_session=session,
        max_run=600,
        checkpoint_s3_uri=f"s3://{session.default_bucket()}/{name}/checkpoints",
        **asked,
    )
    estimator.fit(job_name=name, wait=False)
    session.wait_for_job(name, poll=1)
    bucket, _, key = estimator.model_data.removeprefix("s3://").partition("/")
    body = session.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        left = {each.name: tar.extractfile(each).read().decode() for each in tar if each.isfile()}
    return session.describe_training_job(name), left


def main():
    session = sagemaker.Session()
    job, left = train(session, "train.py", "spot-v2", use_spot_instances=True, max_wait=900)
    assert left == {"epochs": "2 after ['epoch-0', 'epoch-1']"}, left
    stages = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert stages.count("Interrupted") >= 2, stages
    assert stages[-3:] == ["Training", "Uploading", "Completed"], stages
    assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"], job
    job, left = train(session, "lost.py", "lost-v2", max_retry_attempts=2)
    assert left == {"resumed": "yes"}, left
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 2}, job
    print("spot: all done")


if __name__ == "__main__":
    main()

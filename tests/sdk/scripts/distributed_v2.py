"""SDK v2, unchanged: PyTorch on two instances with torchrun and with MPI, and on instance groups."""

import io
import shutil
import sys
import tarfile

import sagemaker
from sagemaker.instance_group import InstanceGroup
from sagemaker.pytorch import PyTorch


def artifacts(session, estimator):
    """Name → text of what is in the job's model.tar.gz."""
    session.wait_for_job(estimator.latest_training_job.name, poll=1)
    bucket, _, key = estimator.model_data.removeprefix("s3://").partition("/")
    body = session.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {each.name: tar.extractfile(each).read().decode() for each in tar if each.isfile()}


def train(session, script, distribution, **places):
    estimator = PyTorch(
        entry_point=script,
        source_dir=f"{sys.argv[1]}/distributed",
        framework_version="2.3.0",
        py_version="py311",
        role=sagemaker.get_execution_role(),
        distribution=distribution,
        sagemaker_session=session,
        **places,
    )
    estimator.fit(wait=False)
    return artifacts(session, estimator)


def main():
    session = sagemaker.Session()
    two = {"instance_type": "ml.m5.large", "instance_count": 2}
    # The SDK lets nothing but instances with GPUs have torchrun; here it is gloo on CPUs all the same.
    gpus = {"instance_type": "ml.g5.xlarge", "instance_count": 2}
    found = train(session, "train.py", {"torch_distributed": {"enabled": True}}, **gpus)
    assert found == {"rank-0": "3", "rank-1": "3"}, found
    if shutil.which("mpirun"):
        mpi = {"mpi": {"enabled": True, "processes_per_host": 2}}
        found = train(session, "ranks.py", mpi, encrypt_inter_container_traffic=True, **two)
        assert found == {f"rank-{rank}": f"4 algo-{rank // 2 + 1}" for rank in range(4)}, found
        workers = InstanceGroup("workers", "ml.c5.xlarge", 2)
        both = {"instance_groups": [InstanceGroup("other", "ml.m5.large", 1), workers]}
        mpi = {"mpi": {"enabled": True}, "instance_groups": [workers]}
        found = train(session, "groups.sh", mpi, **both)
        assert found == {"algo-1": "alone", "algo-2": "rank 0 of 2", "algo-3": "rank 1 of 2"}, found
    print("distributed: all done")


if __name__ == "__main__":
    main()

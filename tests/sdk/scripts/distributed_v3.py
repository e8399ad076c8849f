"""SDK v3, unchanged: ModelTrainer on two instances with Torchrun and with MPI, by the drivers that it ships itself."""

import io
import shutil
import sys
import tarfile

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import MPI, Torchrun


def train(session, script, distributed, name):
    """Name → text of what is in the job's model.tar.gz."""
    image = image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="2.3",
        py_version="py311",
        instance_type="ml.m5.large",
        image_scope="training",
    )
    trainer = ModelTrainer(
        training_image=image,
        source_code=SourceCode(source_dir=f"{sys.argv[1]}/distributed", entry_script=script),
        distributed=distributed,
        compute=Compute(instance_type="ml.m5.large", instance_count=2, volume_size_in_gb=5),
        base_job_name=name,
        role=get_execution_role(),
        sagemaker_session=session,
    )
    trainer.train(wait=True, logs=False)
    job = trainer._latest_training_job
    job.refresh()
    assert job.training_job_status == "Completed", job
    bucket, _, key = job.model_artifacts.s3_model_artifacts.removeprefix("s3://").partition("/")
    body = session.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {each.name: tar.extractfile(each).read().decode() for each in tar if each.isfile()}


def main():
    session = Session()
    found = train(session, "train.py", Torchrun(process_count_per_node=2), "torchrun-v3")
    assert found == {f"rank-{rank}": "10" for rank in range(4)}, found
    if shutil.which("mpirun"):
        # Two slots on each host, two processes in all: the driver asks for no more. One on each host.
        spread = MPI(process_count_per_node=2, mpi_additional_options=["--map-by", "node"])
        found = train(session, "mpi.py", spread, "mpi-v3")
        assert found == {"rank-0": "2 algo-1", "rank-1": "2 algo-2"}, found
    print("distributed: all done")


if __name__ == "__main__":
    main()

"""SDK v3, unchanged: ModelTrainer with source code, inputs and hyperparameters; ModelBuilder deploys and invokes."""

import json
import sys
import time
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import EndpointConfig
from sagemaker.core.shapes import Channel, DataSource, S3DataSource, ShuffleConfig
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer

EXAMPLES = Path(sys.argv[1])


def channels(session, role, image):
    """Input in every mode and of every type that InputData can ask for; the script looks whether it is right."""
    bucket = session.default_bucket()
    place = f"s3://{bucket}/channels-v3"
    for name, text in {"a": "first", "b": "second", "c": "third"}.items():
        session.upload_string_as_file_body(text, bucket, f"channels-v3/plain/{name}")
    lines = [{"text-ref": f"{place}/plain/a", "n": 1}, {"text-ref": f"{place}/plain/c", "n": 3}]
    for name, text in {
        "manifest": json.dumps([{"prefix": f"{place}/plain/"}, "a", "c"]),
        "augmented": "".join(json.dumps(line) + "\n" for line in lines),
    }.items():
        session.upload_string_as_file_body(text, bucket, f"channels-v3/{name}")

    def source(kind, name, **more):
        return S3DataSource(s3_data_type=kind, s3_uri=f"{place}/{name}", **more)

    def channel(name, data, mode, **more):
        return Channel(channel_name=name, data_source=DataSource(s3_data_source=data), input_mode=mode, **more)

    prefix = source("S3Prefix", "plain/", s3_data_distribution_type="FullyReplicated")
    augmented = source("AugmentedManifestFile", "augmented", attribute_names=["text-ref", "n"])
    trainer = ModelTrainer(
        training_image=image,
        training_input_mode="FastFile",
        source_code=SourceCode(source_dir=str(Path(__file__).parent / "channels"), entry_script="check.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        base_job_name="channels-v3",
        role=role,
        sagemaker_session=session,
    )
    trainer.train(
        input_data_config=[
            InputData(channel_name="prefix", data_source=f"{place}/plain"),
            InputData(channel_name="fast", data_source=prefix),
            channel("manifest", source("ManifestFile", "manifest"), "File"),
            channel("plain", prefix, "Pipe", content_type="text/plain"),
            channel("shuffled", prefix, "Pipe", record_wrapper_type="RecordIO", shuffle_config=ShuffleConfig(seed=7)),
            channel("augmented", augmented, "Pipe", record_wrapper_type="RecordIO"),
        ],
        wait=False,
    )
    trainer._latest_training_job.wait(poll=1)


def main():
    session = Session()
    account, region = session.account_id(), session.boto_region_name
    assert session.default_bucket() == f"sagemaker-{region}-{account}"
    role = get_execution_role()
    image = image_uris.retrieve("sklearn", region, version="1.2-1", instance_type="ml.m5.large")
    channels(session, role, image)
    data = session.upload_data(str(EXAMPLES / "iris" / "iris.csv"), key_prefix="iris3/train")

    code = str(EXAMPLES / "iris" / "code")
    trainer = ModelTrainer(
        training_image=image,
        source_code=SourceCode(source_dir=code, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"regularization": 0.5},
        base_job_name="iris-v3",
        role=role,
        sagemaker_session=session,
    )
    trainer.train(input_data_config=[InputData(channel_name="train", data_source=data)], wait=True, logs=True)
    job = trainer._latest_training_job
    job.refresh()
    assert job.training_job_status == "Completed", job
    artifacts = job.model_artifacts.s3_model_artifacts
    assert artifacts.endswith("/output/model.tar.gz"), artifacts

    name = f"iris-v3-{int(time.time())}"
    builder = ModelBuilder(
        image_uri=image,
        s3_model_data_url=artifacts,
        source_code=SourceCode(source_dir=code, entry_script="train.py"),
        env_vars={"SAGEMAKER_PROGRAM": "train.py"},
        instance_type="ml.m5.large",
        role_arn=role,
        sagemaker_session=session,
    )
    model = builder.build(model_name=name)
    endpoint = builder.deploy(endpoint_name=name, initial_instance_count=1, instance_type="ml.m5.large")
    answer = endpoint.invoke(
        body="5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n", content_type="text/csv", accept="application/json"
    )
    assert json.loads(answer.body.read()) == ["setosa", "virginica"]
    config = endpoint.endpoint_config_name
    endpoint.delete()
    endpoint.wait_for_delete()
    EndpointConfig.get(config).delete()
    model.delete()
    print("SDK v3: all done")


if __name__ == "__main__":
    main()

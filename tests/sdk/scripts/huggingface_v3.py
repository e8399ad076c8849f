"""SDK v3, unchanged: ModelTrainer and ModelBuilder with the Hugging Face images."""

import json
import time
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer


def image(scope, transformers, pytorch, python, instance):
    return image_uris.retrieve(
        "huggingface",
        "us-east-1",
        version=transformers,
        base_framework_version=pytorch,
        py_version=python,
        instance_type=instance,
        image_scope=scope,
        container_version="cu124-ubuntu22.04" if scope == "training" else "ubuntu22.04",
    )


def main():
    session, role = Session(), get_execution_role()
    trainer = ModelTrainer(
        training_image=image("training", "4.49.0", "pytorch2.5.1", "py311", "ml.g4dn.xlarge"),
        source_code=SourceCode(source_dir=str(Path(__file__).parent / "huggingface"), entry_script="train.py"),
        compute=Compute(instance_type="ml.g4dn.xlarge", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"epochs": 60},
        base_job_name="huggingface-v3",
        role=role,
        sagemaker_session=session,
    )
    trainer.train(wait=True, logs=False)
    job = trainer._latest_training_job
    job.refresh()
    assert job.training_job_status == "Completed", job
    name = f"huggingface-v3-{int(time.time())}"
    builder = ModelBuilder(
        image_uri=image("inference", "4.51.3", "pytorch2.6.0", "py312", "ml.m5.large"),
        s3_model_data_url=job.model_artifacts.s3_model_artifacts,
        instance_type="ml.m5.large",
        role_arn=role,
        sagemaker_session=session,
    )
    builder.build(model_name=name)
    endpoint = builder.deploy(endpoint_name=name, initial_instance_count=1, instance_type="ml.m5.large")
    answer = endpoint.invoke(
        body=json.dumps({"inputs": ["a good film", "the bad film"]}), content_type="application/json"
    )
    labels = [each["label"] for each in json.loads(answer.body.read())]
    assert labels == ["good", "bad"], labels
    endpoint.delete()
    print("huggingface: all done")


if __name__ == "__main__":
    main()

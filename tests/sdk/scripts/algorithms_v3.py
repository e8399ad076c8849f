"""SDK v3, unchanged: ModelTrainer with the image of a built-in algorithm and no source code."""

import sys

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.train import ModelTrainer


def main():
    session = Session()
    image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
    data = session.upload_data(f"{sys.argv[2]}/cancer.csv", key_prefix="xgboost3/train")
    trainer = ModelTrainer(
        training_image=image,
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters={"num_round": 20, "objective": "binary:logistic", "eval_metric": "auc"},
        base_job_name="xgboost-v3",
        role=get_execution_role(),
        sagemaker_session=session,
    )
    channels = [
        InputData(channel_name=name, data_source=data, content_type="text/csv") for name in ("train", "validation")
    ]
    trainer.train(input_data_config=channels, wait=True, logs=False)
    job = trainer._latest_training_job
    job.refresh()
    assert job.training_job_status == "Completed", job
    found = {each.metric_name: each.value for each in job.final_metric_data_list}
    assert found["validation:auc"] > 0.99, found
    print("algorithms: all done")


if __name__ == "__main__":
    main()

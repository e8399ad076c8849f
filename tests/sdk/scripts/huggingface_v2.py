"""SDK v2, unchanged: the Hugging Face estimator with a script, then its model behind the image's own handler."""

from pathlib import Path

import sagemaker
from sagemaker.huggingface import HuggingFace, HuggingFaceModel


def main():
    session = sagemaker.Session()
    role = sagemaker.get_execution_role()
    estimator = HuggingFace(
        entry_point="train.py",
        source_dir=str(Path(__file__).parent / "huggingface"),
        transformers_version="4.49.0",
        pytorch_version="2.5.1",
        py_version="py311",
        instance_type="ml.g4dn.xlarge",
        instance_count=1,
        role=role,
        sagemaker_session=session,
        hyperparameters={"epochs": 60},
        metric_definitions=[{"Name": "loss", "Regex": "loss=(.*?);"}],
    )
    estimator.fit()
    job = session.describe_training_job(estimator.latest_training_job.name)
    assert job["FinalMetricDataList"][0]["Value"] < 0.1, job
    model = HuggingFaceModel(
        model_data=estimator.model_data,
        transformers_version="4.51.3",
        pytorch_version="2.6.0",
        py_version="py312",
        role=role,
        sagemaker_session=session,
        env={"HF_TASK": "text-classification"},
    )
    predictor = model.deploy(1, "ml.m5.large")
    answer = predictor.predict({"inputs": ["a good film", "the bad film"]})
    assert [each["label"] for each in answer] == ["good", "bad"], answer
    predictor.delete_model()
    predictor.delete_endpoint()
    print("huggingface: all done")


if __name__ == "__main__":
    main()

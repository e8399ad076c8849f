"""SDK v2, unchanged: account, bucket, role; three estimators trained, deployed, invoked with three serializers."""

import sys
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer, NumpyDeserializer
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import CSVSerializer, JSONSerializer, NumpySerializer
from sagemaker.sklearn import SKLearn
from sagemaker.xgboost import XGBoost

EXAMPLES = Path(sys.argv[1])
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


def take_away(session, predictor):
    predictor.delete_model()
    predictor.delete_endpoint()
    session.sagemaker_client.get_waiter("endpoint_deleted").wait(
        EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 1}
    )


def sklearn(session, role, data):
    estimator = SKLearn(
        entry_point="train.py",
        source_dir=str(EXAMPLES / "iris" / "code"),
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        role=role,
        sagemaker_session=session,
        hyperparameters={"regularization": 0.5},
        metric_definitions=[{"Name": "test:accuracy", "Regex": "test_accuracy=(.*?);"}],
    )
    estimator.fit({"train": data}, wait=True, logs="All")
    described = session.describe_training_job(estimator.latest_training_job.name)
    assert described["TrainingJobStatus"] == "Completed", described
    assert described["FinalMetricDataList"][0]["Value"] > 0.9, described
    assert estimator.model_data.endswith("/output/model.tar.gz"), estimator.model_data
    predictor = estimator.deploy(initial_instance_count=1, instance_type="ml.m5.large")
    expected = ["setosa", "virginica"]
    predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
    answer = predictor.predict(ROWS)
    assert list(answer) == expected, answer
    predictor.serializer = JSONSerializer()
    answer = predictor.predict(ROWS)
    assert list(answer) == expected, answer
    predictor.serializer, predictor.deserializer = NumpySerializer(), CSVDeserializer()
    answer = predictor.predict(np.array(ROWS))
    assert [cell for row in answer for cell in row] == expected, answer
    take_away(session, predictor)


def xgboost(session, role, data):
    estimator = XGBoost(
        entry_point="train.py",
        source_dir=str(EXAMPLES / "xgboost" / "code"),
        framework_version="1.7-1",
        instance_type="ml.m5.large",
        instance_count=1,
        role=role,
        sagemaker_session=session,
        hyperparameters={"max_depth": 2, "num_round": 10},
    )
    estimator.fit({"train": data})
    predictor = estimator.deploy(1, "ml.m5.large", serializer=CSVSerializer(), deserializer=CSVDeserializer())
    answer = [float(cell) for row in predictor.predict(ROWS) for cell in row]
    assert answer == [0.0, 2.0], answer
    take_away(session, predictor)


def pytorch(session, role, data):
    estimator = PyTorch(
        entry_point="train.py",
        source_dir=str(EXAMPLES / "pytorch" / "code"),
        framework_version="2.3",
        py_version="py311",
        instance_type="ml.m5.large",
        instance_count=1,
        role=role,
        sagemaker_session=session,
        hyperparameters={"epochs": 60},
    )
    estimator.fit({"train": data})
    predictor = estimator.deploy(1, "ml.m5.large", serializer=NumpySerializer(), deserializer=NumpyDeserializer())
    answer = predictor.predict(np.array(ROWS, dtype=np.float32)).argmax(axis=1).tolist()
    assert answer == [0, 2], answer
    take_away(session, predictor)


def main():
    session = sagemaker.Session()
    account = session.account_id()
    assert account == "000000000000", account
    bucket = session.default_bucket()
    assert bucket == f"sagemaker-{session.boto_region_name}-{account}", bucket
    role = sagemaker.get_execution_role()
    assert role.startswith(f"arn:aws:iam::{account}:role/"), role
    data = session.upload_data(str(EXAMPLES / "iris" / "iris.csv"), key_prefix="iris/train")
    for work in (sklearn, xgboost, pytorch):
        print(f"=== {work.__name__}", flush=True)
        work(session, role, data)
    print("SDK v2: all done")


if __name__ == "__main__":
    main()

"""SDK v2, unchanged: account, bucket, role; every input mode; three estimators trained, deployed, invoked.

Side by side, since the SDK looks at what it waits for once in 10 to 30 seconds.
"""

import gzip
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer, NumpyDeserializer
from sagemaker.inputs import ShuffleConfig, TrainingInput
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
    predictor.serializer = CSVSerializer()  # and the predictor's own deserializer, as the README has it
    answer = predictor.predict(ROWS)
    assert list(answer) == expected, answer
    predictor.deserializer = JSONDeserializer()
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


def channels(session, role, _):
    """Input in every mode and of every type; the script looks whether it is right."""
    place = f"s3://{session.default_bucket()}/channels-v2"
    for name, text in {"a": "first", "b": "second", "c": "third"}.items():
        session.upload_string_as_file_body(text, session.default_bucket(), f"channels-v2/plain/{name}")
        packed = session.boto_session.resource("s3").Object(session.default_bucket(), f"channels-v2/packed/{name}")
        packed.put(Body=gzip.compress(text.encode()))
    lines = [{"text-ref": f"{place}/plain/a", "n": 1}, {"text-ref": f"{place}/plain/c", "n": 3}]
    for name, text in {
        "manifest": json.dumps([{"prefix": f"{place}/plain/"}, "a", "c"]),
        "augmented": "".join(json.dumps(line) + "\n" for line in lines),
    }.items():
        session.upload_string_as_file_body(text, session.default_bucket(), f"channels-v2/{name}")
    estimator = SKLearn(
        entry_point="check.py",
        source_dir=str(Path(__file__).parent / "channels"),
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        role=role,
        sagemaker_session=session,
        input_mode="Pipe",
    )
    estimator.fit(
        {
            "prefix": TrainingInput(f"{place}/plain", input_mode="File", distribution="ShardedByS3Key"),
            "manifest": TrainingInput(f"{place}/manifest", s3_data_type="ManifestFile", input_mode="File"),
            "fast": TrainingInput(f"{place}/plain/", input_mode="FastFile"),
            "plain": TrainingInput(f"{place}/plain/", content_type="text/plain"),
            "shuffled": TrainingInput(
                f"{place}/packed/", compression="Gzip", record_wrapping="RecordIO", shuffle_config=ShuffleConfig(7)
            ),
            "augmented": TrainingInput(
                f"{place}/augmented",
                s3_data_type="AugmentedManifestFile",
                attribute_names=["text-ref", "n"],
                record_wrapping="RecordIO",
            ),
        },
        wait=False,
    )
    name = estimator.latest_training_job.name
    session.sagemaker_client.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1}
    )


def main():
    sessions = [sagemaker.Session() for _ in range(4)]  # each is one thread's
    session = sessions[0]
    account = session.account_id()
    assert account == "000000000000", account
    bucket = session.default_bucket()
    assert bucket == f"sagemaker-{session.boto_region_name}-{account}", bucket
    role = sagemaker.get_execution_role()
    assert role.startswith(f"arn:aws:iam::{account}:role/"), role
    data = session.upload_data(str(EXAMPLES / "iris" / "iris.csv"), key_prefix="iris/train")
    works = (channels, sklearn, xgboost, pytorch)
    with ThreadPoolExecutor(len(works)) as threads:
        begun = [threads.submit(work, own, role, data) for work, own in zip(works, sessions, strict=True)]
    for work in begun:
        work.result()
    print("SDK v2: all done")


if __name__ == "__main__":
    main()

"""SDK v2, unchanged: an Estimator with an image of one's own, trained and deployed."""

import sys

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.serializers import CSVSerializer

image, data = sys.argv[2:]
NAME = "sdk2-byoc"
session = sagemaker.Session()
estimator = Estimator(
    image,
    sagemaker.get_execution_role(),
    1,
    "ml.m5.large",
    hyperparameters={"max_leaf_nodes": 4},
    metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
    sagemaker_session=session,
)
estimator.fit({"training": data}, wait=False, job_name=NAME)
client = session.sagemaker_client
client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=NAME, WaiterConfig={"Delay": 1})
predictor = estimator.deploy(1, "ml.m5.large", endpoint_name=NAME, serializer=CSVSerializer(), wait=False)
client.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
answer = predictor.predict([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
assert answer.split() == [b"setosa", b"virginica"], answer
predictor.delete_endpoint()
print("byoc: all done")

"""SDK v2: a model deployed with AsyncInferenceConfig, whose paths the SDK chooses, and AsyncPredictor."""

import os
import sys

import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.deserializers import JSONDeserializer, StringDeserializer
from sagemaker.exceptions import AsyncInferenceModelError
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer

image, data, code = sys.argv[2:]
NAME = "asynchronous-v2"
SOON = WaiterConfig(max_attempts=120, delay=1)

session = sagemaker.Session()
model = Model(
    image_uri=image,
    model_data=data,
    role=sagemaker.get_execution_role(),
    env={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, "FACTOR": "2"},
    predictor_cls=Predictor,
    sagemaker_session=session,
)
predictor = model.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name=NAME,
    async_inference_config=AsyncInferenceConfig(max_concurrent_invocations_per_instance=2),
    wait=False,
)
session.sagemaker_client.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
predictor.serializer, predictor.deserializer = JSONSerializer(), JSONDeserializer()
assert predictor.predict([1, 2], waiter_config=SOON) == [2.0, 4.0]
told = predictor.predict_async([3], inference_id="three")
assert told.get_result(SOON) == [6.0], told.output_path
again = predictor.predict_async(input_path=predictor._input_path)
assert again.get_result(SOON) == [6.0]
predictor.deserializer = StringDeserializer()  # the words of AWS's scikit-learn image are HTML
try:
    predictor.predict("no list of numbers", waiter_config=SOON)
except AsyncInferenceModelError as error:
    assert "Internal Server Error" in str(error), error
else:
    raise AssertionError("a model that failed has answered")
predictor.delete_endpoint()
print("asynchronous: all done", flush=True)
os._exit(0)  # threads of the SDK look for the failures of what was answered until their attempts are over

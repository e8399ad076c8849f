"""SDK v2: a model deployed with ServerlessInferenceConfig and invoked."""

import json
import sys

import sagemaker
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serverless import ServerlessInferenceConfig

role, code = sys.argv[2:]
session = sagemaker.Session()
model = Model(
    image_uri=sagemaker.image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1"),
    role=role,
    env={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, "FACTOR": "3"},
    predictor_cls=Predictor,
    sagemaker_session=session,
)
predictor = model.deploy(
    serverless_inference_config=ServerlessInferenceConfig(1024, 3, 1), endpoint_name="serverless-v2"
)


def config():
    described = session.sagemaker_client.describe_endpoint(EndpointName="serverless-v2")
    return described["ProductionVariants"][0]["CurrentServerlessConfig"]


assert config() == {"MemorySizeInMB": 1024, "MaxConcurrency": 3, "ProvisionedConcurrency": 1}, config()
said = predictor.predict("[1, 2]", initial_args={"ContentType": "application/json"})
assert json.loads(said) == [3.0, 6.0], said
predictor.delete_endpoint()
print("serverless: all done")

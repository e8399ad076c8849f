"""SDK v3: an endpoint with AsyncInferenceConfig, invoked by Endpoint.invoke_async."""

import json
import sys
import time

import boto3
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import (
    AsyncInferenceClientConfig,
    AsyncInferenceConfig,
    AsyncInferenceOutputConfig,
    ContainerDefinition,
    ProductionVariant,
)

image, data, code = sys.argv[2:]
NAME = "asynchronous-v3"
variables = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code, "FACTOR": "3"}
bucket, s3 = Session().default_bucket(), boto3.client("s3")


def answer(uri):
    key = uri.removeprefix(f"s3://{bucket}/")
    for _ in range(120):
        try:
            return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            time.sleep(0.5)
    raise AssertionError(f"nothing at {uri}")


Model.create(
    model_name=NAME,
    execution_role_arn=get_execution_role(),
    primary_container=ContainerDefinition(image=image, model_data_url=data, environment=variables),
)
output = AsyncInferenceOutputConfig(
    s3_output_path=f"s3://{bucket}/{NAME}", s3_failure_path=f"s3://{bucket}/{NAME}-failed"
)
config = AsyncInferenceConfig(
    output_config=output, client_config=AsyncInferenceClientConfig(max_concurrent_invocations_per_instance=1)
)
variant = ProductionVariant(variant_name="all", model_name=NAME, instance_type="ml.m5.large", initial_instance_count=1)
EndpointConfig.create(endpoint_config_name=NAME, production_variants=[variant], async_inference_config=config)
endpoint = Endpoint.create(endpoint_name=NAME, endpoint_config_name=NAME)
endpoint.wait_for_status("InService", poll=1)
assert endpoint.async_inference_config.output_config.s3_output_path == f"s3://{bucket}/{NAME}", endpoint
s3.put_object(Bucket=bucket, Key="three.json", Body=b"[1, 2]", ContentType="application/json")
told = endpoint.invoke_async(input_location=f"s3://{bucket}/three.json", inference_id="v3")
assert told.inference_id == "v3", told
assert json.loads(answer(told.output_location)) == [3.0, 6.0]
s3.put_object(Bucket=bucket, Key="bad.json", Body=b'"words"', ContentType="application/json")
told = endpoint.invoke_async(input_location=f"s3://{bucket}/bad.json")
assert b"Internal Server Error" in answer(told.failure_location)
endpoint.delete()
print("asynchronous: all done")

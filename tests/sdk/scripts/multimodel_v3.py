"""SDK v3: a model of containers in Mode MultiModel, invoked with the name of one."""

import json
import os
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, MultiModelConfig, ProductionVariant

image, code, prefix = sys.argv[2:]
NAME = "multimodel-v3"

container = ContainerDefinition(
    image=image,
    mode="MultiModel",
    model_data_url=prefix,
    multi_model_config=MultiModelConfig(model_cache_setting="Enabled"),
    environment={"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code},
)
Model.create(model_name=NAME, primary_container=container, execution_role_arn=os.environ["WILDSAGE_ROLE"])
variant = ProductionVariant(variant_name="all", model_name=NAME, instance_type="ml.m5.large", initial_instance_count=1)
EndpointConfig.create(endpoint_config_name=NAME, production_variants=[variant])
endpoint = Endpoint.create(endpoint_name=NAME, endpoint_config_name=NAME)
endpoint.wait_for_status("InService", poll=1)
for target, factor in (("two.tar.gz", 2.0), ("three.tar.gz", 3.0)):
    answer = endpoint.invoke(
        body="[1]", content_type="application/json", accept="application/json", target_model=target
    )
    assert json.loads(answer.body.read()) == [factor], target
endpoint.delete()
print("multimodel: all done")

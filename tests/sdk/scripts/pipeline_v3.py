"""SDK v3: models put together by ModelBuilder, in series and to be invoked by name."""

import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, InferenceExecutionConfig, ProductionVariant
from sagemaker.serve import ModelBuilder

role, *names = sys.argv[2:]


def endpoint(name):
    variant = ProductionVariant(
        variant_name="all", model_name=name, instance_type="ml.m5.large", initial_instance_count=1
    )
    EndpointConfig.create(endpoint_config_name=name, production_variants=[variant])
    found = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
    found.wait_for_status("InService", poll=1)
    return found


def answer(endpoint, **parameters):
    said = endpoint.invoke(body="[1]", content_type="application/json", accept="application/json", **parameters)
    return json.loads(said.body.read())


models = [Model.get(model_name=name) for name in names]
built = ModelBuilder(model=models, role_arn=role).build(model_name="series-v3")
assert len(built.containers) == len(names), built
series = endpoint(built.model_name)
assert answer(series) == [6.0], answer(series)
series.delete()

containers = [
    ContainerDefinition(
        container_hostname=name,
        image=each.primary_container.image,
        model_data_url=each.primary_container.model_data_url,
        environment=each.primary_container.environment,
    )
    for name, each in zip(names, models, strict=True)
]
Model.create(
    model_name="direct-v3",
    execution_role_arn=role,
    containers=containers,
    inference_execution_config=InferenceExecutionConfig(mode="Direct"),
)
direct = endpoint("direct-v3")
assert [answer(direct, target_container_hostname=name) for name in names] == [[1.0], [2.0], [3.0]]
direct.delete()
print("pipeline: all done")

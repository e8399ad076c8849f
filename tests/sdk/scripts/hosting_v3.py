"""SDK v3: an endpoint updated by a canary and by batches, and its capacities and weights changed."""

import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig
from sagemaker.core.shapes import (
    BlueGreenUpdatePolicy,
    CapacitySize,
    DeploymentConfig,
    DesiredWeightAndCapacity,
    ProductionVariant,
    RollingUpdatePolicy,
    TrafficRoutingConfig,
)

one, two, three = sys.argv[2:]
HALF = CapacitySize(type="CAPACITY_PERCENT", value=50)
CANARY = TrafficRoutingConfig(type="CANARY", wait_interval_in_seconds=1, canary_size=HALF)
POLICIES = {
    two: DeploymentConfig(blue_green_update_policy=BlueGreenUpdatePolicy(traffic_routing_configuration=CANARY)),
    three: DeploymentConfig(
        rolling_update_policy=RollingUpdatePolicy(maximum_batch_size=HALF, wait_interval_in_seconds=1)
    ),
}


def answer():
    body = endpoint.invoke(body="[1]", content_type="application/json", accept="application/json").body
    return json.loads(body.read())


for model in (one, two, three):
    variant = ProductionVariant(
        variant_name="all", model_name=model, instance_type="ml.m5.large", initial_instance_count=2
    )
    EndpointConfig.create(endpoint_config_name=f"hosting-v3-{model}", production_variants=[variant])
endpoint = Endpoint.create(endpoint_name="hosting-v3", endpoint_config_name=f"hosting-v3-{one}")
endpoint.wait_for_status("InService", poll=1)
assert answer() == [1.0]
for number, model in enumerate((two, three), 2):
    endpoint.endpoint_config_name = f"hosting-v3-{model}"
    endpoint.update(deployment_config=POLICIES[model])
    assert endpoint.endpoint_status == "Updating", endpoint
    assert endpoint.pending_deployment_summary.endpoint_config_name == f"hosting-v3-{model}", endpoint
    endpoint.wait_for_status("InService", poll=1)
    assert answer() == [float(number)]
    assert endpoint.last_deployment_config == POLICIES[model], endpoint
endpoint.update_weights_and_capacities(
    [DesiredWeightAndCapacity(variant_name="all", desired_weight=3, desired_instance_count=1)]
)
endpoint.wait_for_status("InService", poll=1)
endpoint.refresh()
(variant,) = endpoint.production_variants
assert (variant.current_weight, variant.current_instance_count) == (3.0, 1), variant
endpoint.delete()
print("hosting: all done")

"""SDK v2: an endpoint of two variants, invoked by name, and its update to another model and more instances."""

import sys

import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer
from sagemaker.session import production_variant

one, two, three = sys.argv[2:]
NAME, TYPE = "hosting-v2", "ml.m5.large"

session = sagemaker.Session()


def in_service():
    """As the SDK waits, which looks once in thirty seconds."""
    waiter = session.sagemaker_client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1})


variants = [
    production_variant(one, TYPE, variant_name="first", initial_weight=1),
    production_variant(two, TYPE, variant_name="second", initial_weight=0),
]
session.endpoint_from_production_variants(NAME, variants, wait=False)
in_service()
predictor = Predictor(NAME, session, serializer=JSONSerializer(), deserializer=JSONDeserializer())
assert [predictor.predict([1])[0] for _ in range(10)] == [1.0] * 10
assert predictor.predict([1], target_variant="second") == [2.0]
predictor.update_endpoint(initial_instance_count=2, instance_type=TYPE, model_name=three, wait=False)
in_service()
assert predictor.predict([1]) == [3.0]
(variant,) = session.sagemaker_client.describe_endpoint(EndpointName=NAME)["ProductionVariants"]
assert variant["CurrentInstanceCount"] == 2, variant
predictor.delete_endpoint()
print("hosting: all done")

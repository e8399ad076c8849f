"""SDK v3: a serverless endpoint by ModelBuilder.

EndpointConfig.create of sagemaker-core 2 cannot say it: it spells the member MemorySizeInMb, which botocore refuses.
"""

import json
import sys

from sagemaker.core.inference_config import ServerlessInferenceConfig
from sagemaker.core.resources import Model
from sagemaker.serve import ModelBuilder

role, name = sys.argv[2:]
model = Model.get(model_name=name)
builder = ModelBuilder(
    image_uri=model.primary_container.image,
    env_vars=model.primary_container.environment,
    role_arn=role,
    s3_model_data_url=model.primary_container.model_data_url,
)
builder.build(model_name="serverless-built")
built = builder.deploy(
    endpoint_name="serverless-built",
    inference_config=ServerlessInferenceConfig(memory_size_in_mb=1024, max_concurrency=2),
)
said = built.invoke(body="[1]", content_type="application/json", accept="application/json")
assert json.loads(said.body.read()) == [3.0]
built.delete()
print("serverless: all done")

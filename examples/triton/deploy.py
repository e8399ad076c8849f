"""An ONNX model behind SageMaker's Triton image, asked as AWS's notebooks do.

    wildsage run -- python examples/triton/deploy.py

1. Scikit-learn learns the scanned digits, skl2onnx writes the model to digits/1/model.onnx of a model repository.
2. model.tar.gz holds the repository: digits/config.pbtxt and digits/1/model.onnx.
3. 32 clients send images in the binary form of the V2 protocol; Triton joins requests that wait (dynamic_batching).
"""

import io
import os
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import numpy as np
import tritonclient.http as triton
from botocore.config import Config
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-tritonserver:25.09-py3-cpu"
MIME = "application/vnd.sagemaker-triton.binary+json;json-header-size="
CLIENTS = 32

images, labels = load_digits(return_X_y=True)
seen, unseen, seen_labels, unseen_labels = train_test_split(images.astype("f4"), labels, random_state=0)
model = make_pipeline(StandardScaler(), MLPClassifier((128,), random_state=0)).fit(seen, seen_labels)
onnx = to_onnx(model, X=seen[:1], options={"zipmap": False}, target_opset=18)

packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as archive:
    archive.add(Path(__file__).parent / "digits" / "config.pbtxt", "digits/config.pbtxt")
    member = tarfile.TarInfo("digits/1/model.onnx")
    member.size = onnx.ByteSize()
    archive.addfile(member, io.BytesIO(onnx.SerializeToString()))

s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime", config=Config(max_pool_connections=CLIENTS))
name = f"digits-{int(time.time())}"
s3.create_bucket(Bucket=name)
s3.put_object(Bucket=name, Key="model.tar.gz", Body=packed.getvalue())
sagemaker.create_model(
    ModelName=name,
    ExecutionRoleArn=os.environ["WILDSAGE_ROLE"],
    PrimaryContainer={
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{name}/model.tar.gz",
        "Environment": {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "digits"},
    },
)
variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def ask(image: np.ndarray) -> int:
    """The digit that the model sees."""
    tensor = triton.InferInput("X", [1, 64], "FP32")
    tensor.set_data_from_numpy(image.reshape(1, 64))
    wanted = [triton.InferRequestedOutput("label")]
    body, length = triton.InferenceServerClient.generate_request_body([tensor], outputs=wanted)
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType=f"{MIME}{length}", Body=body)
    length = int(answer["ContentType"].removeprefix(MIME))
    found = triton.InferenceServerClient.parse_response_body(answer["Body"].read(), header_length=length)
    return int(found.as_numpy("label")[0, 0])


try:
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        digits = list(clients.map(ask, unseen))
    rate = len(digits) / (time.perf_counter() - began)
    right = sum(digit == label for digit, label in zip(digits, unseen_labels, strict=True))
    itself = round(model.score(unseen, unseen_labels) * len(digits))
    print(f"{right} of {len(digits)} digits recognised ({itself} by scikit-learn itself), {rate:.0f} a second")
finally:
    sagemaker.delete_endpoint(EndpointName=name)

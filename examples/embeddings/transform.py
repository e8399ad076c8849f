"""Embeds sentences in a batch transform job, then says which two of them mean nearly the same.

    wildsage run -- python examples/embeddings/transform.py

The model is a package on PyPI, so the first run installs what code/requirements.txt names.
"""

import io
import json
import os
import tarfile
import time
from pathlib import Path

import boto3

HERE = Path(__file__).parent
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.3-cpu-py311"
NAME = f"embeddings-{int(time.time())}"


def archive() -> bytes:
    """model.tar.gz: the code alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(HERE / "code", "code")
    return packed.getvalue()


def main() -> None:
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    role = os.environ["WILDSAGE_ROLE"]
    bucket = f"embeddings-{int(time.time())}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=archive())
    s3.put_object(Bucket=bucket, Key="in/sentences.jsonl", Body=(HERE / "sentences.jsonl").read_bytes())
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=role,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{bucket}/model.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
        },
    )
    sagemaker.create_transform_job(
        TransformJobName=NAME,
        ModelName=NAME,
        BatchStrategy="MultiRecord",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        DataProcessing={"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
        TransformOutput={
            "S3OutputPath": f"s3://{bucket}/out",
            "Accept": "application/jsonlines",
            "AssembleWith": "Line",
        },
        TransformResources={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
    )
    while (job := sagemaker.describe_transform_job(TransformJobName=NAME))["TransformJobStatus"] == "InProgress":
        time.sleep(0.5)
    if job["TransformJobStatus"] != "Completed":
        raise SystemExit(job.get("FailureReason", job["TransformJobStatus"]))
    body = s3.get_object(Bucket=bucket, Key="out/sentences.jsonl.out")["Body"].read().decode()
    vectors = {line["id"]: line["SageMakerOutput"] for line in map(json.loads, body.splitlines())}
    for name, vector in vectors.items():
        others = {
            other: sum(a * b for a, b in zip(vector, each, strict=True))
            for other, each in vectors.items()
            if other != name
        }
        nearest = max(others, key=others.__getitem__)
        print(f"{name} is nearest to {nearest} ({others[nearest]:.2f})")


if __name__ == "__main__":
    main()

"""Trains and serves iris with an image of one's own, by stock boto3.

    docker build -t decision-trees examples/byoc
    wildsage run -- python examples/byoc/run.py decision-trees [IMAGE-THAT-SERVES]

The image may also be one that was pushed: ACCOUNT.dkr.ecr.REGION.amazonaws.com/decision-trees:latest.
"""

import csv
import io
import os
import sys
import time
from pathlib import Path

import boto3

IRIS = Path(__file__).parents[1] / "iris" / "iris.csv"
FLOWERS = "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n5.9,3.0,4.2,1.5\n"

training, serving = sys.argv[1], sys.argv[-1]
role = os.environ["WILDSAGE_ROLE"]
name = time.strftime("decision-trees-%Y%m%d-%H%M%S")
sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
bucket = f"{name}-bucket"
s3.create_bucket(Bucket=bucket)

# The species goes first, and there is no line with names: so this image reads it.
rows = io.StringIO()
with IRIS.open(newline="") as file:
    csv.writer(rows).writerows([row[-1], *row[:-1]] for row in list(csv.reader(file))[1:])
s3.put_object(Bucket=bucket, Key="data/iris.csv", Body=rows.getvalue().encode())

sagemaker.create_training_job(
    TrainingJobName=name,
    AlgorithmSpecification={
        "TrainingImage": training,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
    },
    HyperParameters={"max_leaf_nodes": "5"},
    RoleArn=role,
    InputDataConfig=[
        {
            "ChannelName": "training",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/"}},
        }
    ],
    OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
)
while (job := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
    time.sleep(0.2)
print(job["TrainingJobStatus"], job.get("FailureReason", ""), job.get("FinalMetricDataList", ""))
if job["TrainingJobStatus"] != "Completed":
    sys.exit(1)

model = job["ModelArtifacts"]["S3ModelArtifacts"]
sagemaker.create_model(
    ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": serving, "ModelDataUrl": model}
)
variant = {"VariantName": "trees", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
while (endpoint := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
    time.sleep(0.2)
print(endpoint["EndpointStatus"], endpoint.get("FailureReason", ""))
if endpoint["EndpointStatus"] == "InService":
    answer = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, ContentType="text/csv", Body=FLOWERS.encode()
    )
    print(answer["Body"].read().decode(), end="")

sagemaker.delete_endpoint(EndpointName=name)
sagemaker.delete_endpoint_config(EndpointConfigName=name)
sagemaker.delete_model(ModelName=name)
sys.exit(endpoint["EndpointStatus"] != "InService")

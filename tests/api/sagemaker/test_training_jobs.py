"""Training jobs through boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, Account, until

GROUP = "/aws/sagemaker/TrainingJobs"


def test_lines_are_there_while_the_job_runs_as_the_sdks_read_them(account: Account) -> None:
    name = account.train("import time\nprint('early', flush=True)\ntime.sleep(600)")

    def stream() -> str | None:
        try:
            found = account.logs.describe_log_streams(
                logGroupName=GROUP, logStreamNamePrefix=f"{name}/", orderBy="LogStreamName", limit=1
            )
        except account.logs.exceptions.ResourceNotFoundException:
            return None
        return found["logStreams"][0]["logStreamName"] if found["logStreams"] else None

    where = until(stream)
    assert where.startswith(f"{name}/algo-1-")

    def lines() -> list[str]:
        found = account.logs.get_log_events(logGroupName=GROUP, logStreamName=where, startTime=0, startFromHead=True)
        return [event["message"] for event in found["events"]]

    until(lambda: "early" in lines())
    assert account.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.trained(name)["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Stopped"):
        account.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_calls_aws_as_its_role(account: Account) -> None:
    script = (
        "import boto3, json, os\n"
        "who = boto3.client('sts').get_caller_identity()['Arn']\n"
        f"boto3.client('s3').put_object(Bucket='{BUCKET}', Key='from-the-job', Body=who.encode())\n"
        "assert 'AWS_ACCESS_KEY_ID' not in os.environ\n"
    )
    name = account.train(script)
    job = account.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job
    who = account.s3.get_object(Bucket=BUCKET, Key="from-the-job")["Body"].read().decode()
    assert who == "arn:aws:sts::000000000000:assumed-role/WildsageExecutionRole/SageMaker"


def test_a_role_that_may_not_read_the_input_fails_in_words(account: Account) -> None:
    iam = account.server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = iam.create_role(RoleName="powerless", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data"}}
    name = account.train("", RoleArn=role, InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
    job = account.trained(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "Data download failed" in job["FailureReason"]
    assert "powerless" in job["FailureReason"]


def test_an_unknown_role_is_refused_at_once(account: Account) -> None:
    with pytest.raises(ClientError, match="Could not assume role") as found:
        account.train("", RoleArn="arn:aws:iam::000000000000:role/nobody")
    assert found.value.response["Error"]["Code"] == "ValidationException"

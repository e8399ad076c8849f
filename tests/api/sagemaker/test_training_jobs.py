"""Training jobs through boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import BUCKET, Account, archive, until

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


def test_the_same_requirements_are_installed_once(account: Account) -> None:
    """What the environment has already needs no index; the second job finds what the first has made."""
    said = []
    for number in range(2):
        source = account.put(
            f"code/same-{number}.tar.gz", archive({"train.py": "import joblib", "requirements.txt": "joblib\n"})
        )
        hyperparameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": source}
        name = account.train("", HyperParameters=hyperparameters, Environment={"PIP_NO_INDEX": "1"})
        job = account.trained(name)
        assert job["TrainingJobStatus"] == "Completed", job
        stream = account.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"][0]
        found = account.logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
        )
        said.append("\n".join(event["message"] for event in found["events"]))
    assert "[wildsage] Installing the packages of requirements.txt once" in said[0]
    assert "[wildsage] The packages of requirements.txt were installed before" in said[1]


def test_an_unknown_role_is_refused_at_once(account: Account) -> None:
    with pytest.raises(ClientError, match="Could not assume role") as found:
        account.train("", RoleArn="arn:aws:iam::000000000000:role/nobody")
    assert found.value.response["Error"]["Code"] == "ValidationException"

"""Warm pools and UpdateTrainingJob through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sagemaker.conftest import SKLEARN, Account, until

WAITS = "import time\nprint('begins', flush=True)\nwhile True: time.sleep(60)"


def resources(seconds: int, gigabytes: int) -> dict[str, Any]:
    """A size of its own for each test: the server is everybody's, and so are its pools."""
    return {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": gigabytes,
        "KeepAlivePeriodInSeconds": seconds,
    }


def test_a_pool_is_kept_listed_extended_and_ended(account: Account) -> None:
    sagemaker = account.sagemaker
    name = account.train("print('fine')", ResourceConfig=resources(60, 11))
    job = account.trained(name)
    assert set(job["WarmPoolStatus"]) == {"Status", "ResourceRetainedBillableTimeInSeconds"}
    assert job["WarmPoolStatus"]["Status"] == "Available"
    answer = sagemaker.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 21_600})
    assert answer["TrainingJobArn"] == job["TrainingJobArn"]
    updated = sagemaker.describe_training_job(TrainingJobName=name)
    assert updated["ResourceConfig"] == resources(21_600, 11)
    assert updated["LastModifiedTime"] > job["LastModifiedTime"]
    assert updated["TrainingEndTime"] == job["TrainingEndTime"]
    with pytest.raises(ClientError, match="21600"):
        sagemaker.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 21_601})
    (summary,) = sagemaker.list_training_jobs(WarmPoolStatusEquals="Available", NameContains=name)[
        "TrainingJobSummaries"
    ]
    assert summary["WarmPoolStatus"]["Status"] == "Available"
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.delete_training_job(TrainingJobName=name)
    sagemaker.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0})
    until(
        lambda: sagemaker.list_training_jobs(WarmPoolStatusEquals="Terminated", NameContains=name)[
            "TrainingJobSummaries"
        ]
    )
    sagemaker.delete_training_job(TrainingJobName=name)


def test_a_page_of_pools_goes_on_where_the_last_ended(account: Account) -> None:
    names = [account.train("print('fine')", ResourceConfig=resources(3600, 21 + number)) for number in range(3)]
    for name in names:
        account.trained(name)
    pages = account.sagemaker.get_paginator("list_training_jobs").paginate(
        WarmPoolStatusEquals="Available", SortOrder="Ascending", NameContains="job-", PaginationConfig={"PageSize": 1}
    )
    found = [each["TrainingJobName"] for page in pages for each in page["TrainingJobSummaries"]]
    assert [name for name in found if name in names] == names


def test_a_running_jobs_profiler_is_switched_off_and_the_job_goes_on(account: Account) -> None:
    name = account.train(WAITS)
    sagemaker = account.sagemaker
    until(lambda: sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training")
    sagemaker.update_training_job(
        TrainingJobName=name,
        ProfilerConfig={"DisableProfiler": True},
        RemoteDebugConfig={"EnableRemoteDebug": False},
    )
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert (job["ProfilerConfig"], job["RemoteDebugConfig"]) == (
        {"DisableProfiler": True},
        {"EnableRemoteDebug": False},
    )
    with pytest.raises(ClientError, match=r"RemoteDebugConfig\.EnableRemoteDebug=True is not supported"):
        sagemaker.update_training_job(TrainingJobName=name, RemoteDebugConfig={"EnableRemoteDebug": True})
    with pytest.raises(ClientError, match="the training job has no warm pool"):
        sagemaker.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    sagemaker.stop_training_job(TrainingJobName=name)
    assert account.trained(name)["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="while the training job is InProgress; it is Stopped"):
        sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": False})
    with pytest.raises(ClientError, match="not found"):
        sagemaker.update_training_job(TrainingJobName="absent", ProfilerConfig={"DisableProfiler": False})


def test_a_policy_may_limit_for_how_long_instances_are_kept(account: Account) -> None:
    """The example of the Developer Guide, "IAM condition key"."""
    iam = account.server.client("iam")
    iam.create_user(UserName="frugal")
    statement = {
        "Effect": "Allow",
        "Action": ["sagemaker:CreateTrainingJob", "iam:PassRole"],
        "Resource": "*",
        "Condition": {"NumericLessThanIfExists": {"sagemaker:KeepAlivePeriod": 1800}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="frugal", PolicyName="frugal", PolicyDocument=policy)
    key = iam.create_access_key(UserName="frugal")["AccessKey"]
    client = account.server.client(
        "sagemaker", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )

    def create(name: str, config: dict[str, Any]) -> None:
        client.create_training_job(
            TrainingJobName=name,
            RoleArn=account.server.role,
            AlgorithmSpecification={"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
            OutputDataConfig={"S3OutputPath": f"s3://{name}/out"},
            ResourceConfig=config,
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )

    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateTrainingJob"):
        create("kept-too-long", resources(1800, 31))
    create("kept-short", resources(1799, 31))
    account.trained("kept-short")
    account.sagemaker.update_training_job(TrainingJobName="kept-short", ResourceConfig={"KeepAlivePeriodInSeconds": 0})

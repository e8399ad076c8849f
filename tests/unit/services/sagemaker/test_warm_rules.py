"""Which job may have a warm pool, for how long, and what UpdateTrainingJob may change."""

from __future__ import annotations

from typing import Any

import pytest

from wildsage.core.errors import ApiError
from wildsage.services.sagemaker.training import updates
from wildsage.services.sagemaker.training.warm import rules
from wildsage.store.resources import Key, Resource

SPEC: dict[str, Any] = {
    "RoleArn": "arn:aws:iam::000000000000:role/one",
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "VpcConfig": {"SecurityGroupIds": ["sg-1", "sg-2"], "Subnets": ["subnet-1"]},
    "EnableNetworkIsolation": False,
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**SPEC, **fields}


def resources(**fields: Any) -> dict[str, Any]:
    return changed(ResourceConfig={**SPEC["ResourceConfig"], **fields})


def pool(phase: str = rules.AVAILABLE, **state: Any) -> Resource:
    return Resource(Key("k", "a", "r", "n"), {}, phase=phase, state={"began": 0.0, **state})


@pytest.mark.parametrize(
    "other",
    [
        changed(HyperParameters={"epochs": "2"}, AlgorithmSpecification={"TrainingImage": "another"}),
        changed(VpcConfig={"SecurityGroupIds": ["sg-2", "sg-1"], "Subnets": ["subnet-1"]}),
        changed(EnableInterContainerTrafficEncryption=False),
        resources(KeepAlivePeriodInSeconds=60),
    ],
)
def test_jobs_that_match(other: dict[str, Any]) -> None:
    assert rules.identity(other) == rules.identity(SPEC)


@pytest.mark.parametrize(
    "other",
    [
        changed(RoleArn="arn:aws:iam::000000000000:role/two"),
        resources(InstanceCount=2),
        resources(InstanceType="ml.m5.xlarge"),
        resources(VolumeSizeInGB=31),
        resources(VolumeKmsKeyId="key"),
        changed(VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}),
        changed(VpcConfig={"SecurityGroupIds": ["sg-1", "sg-2"], "Subnets": ["subnet-2"]}),
        changed(VpcConfig=None),
        changed(EnableInterContainerTrafficEncryption=True),
        changed(EnableNetworkIsolation=True),
    ],
)
def test_jobs_that_do_not_match(other: dict[str, Any]) -> None:
    assert rules.identity(other) != rules.identity(SPEC)


def test_spot_and_heterogeneous_clusters_have_no_pools() -> None:
    spot = changed(EnableManagedSpotTraining=True)
    groups = changed(ResourceConfig={"InstanceGroups": [{"InstanceGroupName": "a"}], "KeepAlivePeriodInSeconds": 1})
    assert rules.identity(spot) is None
    assert rules.identity(groups) is None
    with pytest.raises(ApiError, match="heterogeneous"):
        rules.check(groups)
    with pytest.raises(ApiError, match="spot"):
        rules.check({**spot, **resources(KeepAlivePeriodInSeconds=1), "EnableManagedSpotTraining": True})
    rules.check(spot)
    rules.check(resources(KeepAlivePeriodInSeconds=3600))


@pytest.mark.parametrize(
    ("secondary", "reason", "kept"),
    [
        ("Completed", "", True),
        ("Stopped", "", True),
        ("MaxRuntimeExceeded", "", True),
        ("Failed", "AlgorithmError: ExecuteUserScriptError", True),
        ("Failed", "ClientError: Data download failed", True),
        ("Failed", "InternalServerError: No space left", False),
    ],
)
def test_what_leaves_a_pool(secondary: str, reason: str, kept: bool) -> None:
    assert rules.are_kept(secondary, reason) is kept


def test_a_pool_ends_after_its_time_and_after_28_days_at_the_latest() -> None:
    assert rules.kept_for({"began": 0.0, "available": 100.0}, 60)["ends"] == 160.0
    late = 28 * 86_400 - 10.0
    assert rules.kept_for({"began": 0.0, "available": late}, 60)["ends"] == 28 * 86_400
    waiting = pool(available=100.0, ends=160.0)
    assert rules.is_to_be_had(waiting, 159.9)
    assert not rules.is_to_be_had(waiting, 160.0)
    assert not rules.is_to_be_had(pool(available=100.0, ends=160.0, ending=120.0), 130.0)
    assert not rules.is_to_be_had(pool(rules.REUSED, available=100.0, ends=160.0), 130.0)
    assert not rules.is_to_be_had(pool(rules.IN_USE), 130.0)


def test_only_the_time_between_jobs_is_billed() -> None:
    assert rules.status(pool(rules.IN_USE), 50.0) == {"Status": "InUse"}
    waiting = pool(available=100.0, ends=160.0)
    assert rules.status(waiting, 130.4) == {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 30}
    reused = pool(rules.REUSED, available=100.0)
    reused.status = {"ResourceRetainedBillableTimeInSeconds": 7, "ReusedByJob": "next"}
    assert rules.status(reused, 999.0) == {"Status": "Reused", **reused.status}


def job(phase: str, secondary: str) -> Resource:
    return Resource(Key("k", "a", "r", "n"), {}, phase=phase, status={"SecondaryStatus": secondary})


def test_what_may_be_updated_when() -> None:
    profiler = {"TrainingJobName": "n", "ProfilerConfig": {"DisableProfiler": True}}
    updates.check(profiler, job("InProgress", "Training"))
    with pytest.raises(ApiError, match="it is Completed"):
        updates.check(profiler, job("Completed", "Completed"))
    debug = {"TrainingJobName": "n", "RemoteDebugConfig": {"EnableRemoteDebug": False}}
    updates.check(debug, job("InProgress", "Downloading"))
    with pytest.raises(ApiError, match="it is Starting"):
        updates.check(debug, job("InProgress", "Starting"))
    for refused in (
        {"RemoteDebugConfig": {"EnableRemoteDebug": True}},
        {"ProfilerRuleConfigurations": [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}]},
    ):
        with pytest.raises(ApiError, match="not supported by Wildsage yet"):
            updates.check(refused, job("InProgress", "Training"))


def test_only_given_fields_change() -> None:
    spec = {"ProfilerConfig": {"S3OutputPath": "s3://b", "DisableProfiler": False}, "RoleArn": "r"}
    request = {
        "TrainingJobName": "n",
        "ProfilerConfig": {"DisableProfiler": True},
        "ResourceConfig": {"KeepAlivePeriodInSeconds": 0},
        "ProfilerRuleConfigurations": [],
    }
    assert updates.updated(spec, request) == {
        "RoleArn": "r",
        "ProfilerConfig": {"S3OutputPath": "s3://b", "DisableProfiler": True},
        "ResourceConfig": {"KeepAlivePeriodInSeconds": 0},
    }

"""What the create operations refuse, and in which words; nothing runs here."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, SKLEARN, Server

from wildsage.core.errors import ApiError

# Jobs that are accepted here must not begin to run.
UNKNOWN = "unknown:1"
ROLE = "arn:aws:iam::000000000000:role/WildsageExecutionRole"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def job(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TrainingJobName": "job",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": UNKNOWN, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    request.update(changes)
    return {name: value for name, value in request.items() if value is not None}


def group(name: str) -> dict[str, Any]:
    return {"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 1}


def channel(name: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data", **changes.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **changes}


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"TrainingImage": SKLEARN, "TrainingInputMode": "File", **changes}


def resources(**changes: Any) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30, **changes}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"RoleArn": None}, "ValidationException", "Value null at 'roleArn' failed to satisfy constraint"),
        ({"TrainingJobName": "bad_name"}, "ValidationException", "at 'trainingJobName' failed to satisfy constraint"),
        (
            {"ResourceConfig": resources(InstanceType="ml.huge")},
            "ValidationException",
            "Value 'ml.huge' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum",
        ),
        ({"RoleArn": "arn:aws:iam::000000000000:role/Nobody"}, "ValidationException", "Could not assume role"),
        (
            {"InputDataConfig": [channel("a"), channel("a")]},
            "ValidationException",
            "Input channel names must be unique",
        ),
        (
            {"OutputDataConfig": {"S3OutputPath": "https://example.com"}},
            "ValidationException",
            "not a valid S3 URI",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "s3://"}}, "ValidationException", "failed to satisfy constraint"),
        (
            {"AlgorithmSpecification": algorithm(MetricDefinitions=[{"Name": "m", "Regex": "(("}])},
            "ValidationException",
            "regular expression of metric definition m",
        ),
        (
            {"ResourceConfig": resources(InstanceCount=65)},
            "UnsupportedOperationException",
            "a machine runs at most 64 of one job",
        ),
        (
            {"ResourceConfig": resources(InstanceGroups=[group("a")])},
            "ValidationException",
            "InstanceGroups or InstanceType and InstanceCount, not both",
        ),
        (
            {"ResourceConfig": {"InstanceGroups": [group("a"), group("a")], "VolumeSizeInGB": 1}},
            "ValidationException",
            "duplicate group name: a",
        ),
        (
            {"InputDataConfig": [channel("a", source={"S3DataType": "Converse"})]},
            "UnsupportedOperationException",
            "S3DataType=Converse is not supported",
        ),
        (
            {"InputDataConfig": [channel("a", source={"S3Uri": "s3:///key"})]},
            "ValidationException",
            "failed to satisfy constraint",
        ),
        (
            {
                "InputDataConfig": [
                    channel("a", source={"S3DataType": "AugmentedManifestFile", "AttributeNames": ["x"]})
                ]
            },
            "ValidationException",
            "can only be used if the Channel's input mode is Pipe; channel a has File",
        ),
        (
            {
                "InputDataConfig": [
                    {
                        "ChannelName": "a",
                        "DataSource": {
                            "FileSystemDataSource": {
                                "FileSystemId": "fs-0123456789abcdef0",
                                "FileSystemType": "EFS",
                                "FileSystemAccessMode": "ro",
                                "DirectoryPath": "/data",
                            }
                        },
                    }
                ]
            },
            "ValidationException",
            "file system fs-0123456789abcdef0 of channel a is not known to this server. It knows none. Start it with "
            "WILDSAGE_FILE_SYSTEMS=fs-0123456789abcdef0=/FOLDER",
        ),
        ({"EnableManagedSpotTraining": True}, "ValidationException", "Invalid MaxWaitTimeInSeconds"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8},
            },
            "ValidationException",
            "Invalid MaxWaitTimeInSeconds",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}},
            "ValidationException",
            "only be specified if EnableManagedSpotTraining",
        ),
        ({"CheckpointConfig": {"S3Uri": "https://b/c"}}, "ValidationException", "CheckpointConfig S3Uri"),
        (
            {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/opt/ml/model/"}},
            "ValidationException",
            "LocalPath",
        ),
        (
            {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/opt/ml/input/data"}},
            "ValidationException",
            "LocalPath",
        ),
        ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/"}}, "ValidationException", "LocalPath"),
        (
            {
                "ResourceConfig": resources(KeepAlivePeriodInSeconds=60),
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9},
            },
            "ValidationException",
            "KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining",
        ),
        (
            {"ResourceConfig": resources(KeepAlivePeriodInSeconds=21_601)},
            "ValidationException",
            "less than or equal to 21600",
        ),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "ValidationException", "TrainingImage"),
    ],
)
async def test_training_jobs_that_are_refused(server: Server, changes: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as found:
        await server.call("sagemaker", "CreateTrainingJob", **job(**changes))
    assert found.value.code == code
    assert (await server.call("sagemaker", "ListTrainingJobs"))["TrainingJobSummaries"] == []


async def test_what_the_sdks_send_unasked_is_kept_and_described(server: Server) -> None:
    asked = job(
        ProfilerConfig={"S3OutputPath": f"s3://{BUCKET}/", "DisableProfiler": False},
        DebugHookConfig={"S3OutputPath": f"s3://{BUCKET}/", "CollectionConfigurations": []},
        ExperimentConfig={"TrialName": "t"},
        EnableManagedSpotTraining=False,
        EnableInterContainerTrafficEncryption=False,
        EnableNetworkIsolation=False,
        InputDataConfig=[channel("a", CompressionType="None", RecordWrapperType="None")],
        Tags=[{"Key": "team", "Value": "ml"}],
    )
    await server.call("sagemaker", "CreateTrainingJob", **asked)
    described = await server.call("sagemaker", "DescribeTrainingJob", TrainingJobName="job")
    for name in asked.keys() - {"Tags", "OutputDataConfig"}:
        assert described[name] == asked[name]
    assert "Tags" not in described
    assert described["OutputDataConfig"] == {
        "S3OutputPath": f"s3://{BUCKET}/out",
        "CompressionType": "GZIP",
        "KmsKeyId": "",
    }


async def test_a_training_job_name_is_unique_and_an_unknown_one_is_not_found(server: Server) -> None:
    await server.call("sagemaker", "CreateTrainingJob", **job())
    with pytest.raises(ApiError, match=rf"already exists \({ARN}:training-job/job\)") as taken:
        await server.call("sagemaker", "CreateTrainingJob", **job())
    assert (taken.value.code, taken.value.status) == ("ResourceInUse", 400)
    for operation in ("DescribeTrainingJob", "StopTrainingJob", "DeleteTrainingJob"):
        with pytest.raises(ApiError, match=r"Requested resource not found\.") as missing:
            await server.call("sagemaker", operation, TrainingJobName="other")
        assert missing.value.code == "ValidationException"


async def test_training_jobs_are_listed_by_every_filter(server: Server) -> None:
    for name in ("alpha", "beta", "gamma"):
        await server.call("sagemaker", "CreateTrainingJob", **job(TrainingJobName=name))

    async def names(**filters: Any) -> list[str]:
        answer = await server.call("sagemaker", "ListTrainingJobs", **filters)
        return [each["TrainingJobName"] for each in answer["TrainingJobSummaries"]]

    assert await names() == ["gamma", "beta", "alpha"]
    assert await names(SortBy="Name", SortOrder="Ascending") == ["alpha", "beta", "gamma"]
    assert await names(NameContains="ET") == ["beta"]
    made = (await server.call("sagemaker", "DescribeTrainingJob", TrainingJobName="beta"))["CreationTime"].timestamp()
    assert await names(CreationTimeAfter=made) == ["gamma"]
    assert await names(CreationTimeBefore=made) == ["alpha"]
    assert await names(LastModifiedTimeAfter=made + 3600) == []
    assert await names(StatusEquals="Completed") == []
    first = await server.call("sagemaker", "ListTrainingJobs", MaxResults=2)
    rest = await server.call("sagemaker", "ListTrainingJobs", MaxResults=2, NextToken=first["NextToken"])
    assert [each["TrainingJobName"] for each in rest["TrainingJobSummaries"]] == ["alpha"]
    assert "NextToken" not in rest
    with pytest.raises(ApiError, match="pagination token"):
        await server.call("sagemaker", "ListTrainingJobs", NextToken="junk")
    tokens = {}
    for order in ("Name", "CreationTime", "Status"):
        page = await server.call("sagemaker", "ListTrainingJobs", MaxResults=1, SortBy=order)
        tokens[order] = page["NextToken"]
    for order, other in permutations(tokens, 2):
        with pytest.raises(ApiError, match="pagination token"):
            await server.call("sagemaker", "ListTrainingJobs", SortBy=order, NextToken=tokens[other])


def model(name: str = "m", **changes: Any) -> dict[str, Any]:
    container = {"Image": SKLEARN}
    return {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container, **changes}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"PrimaryContainer": None}, "ValidationException", "PrimaryContainer or Containers"),
        ({"PrimaryContainer": {"Image": SKLEARN, "ModelDataUrl": "s3://b"}}, "ValidationException", "model data URL"),
        (
            {"PrimaryContainer": {"Image": SKLEARN, "Mode": "MultiModel"}},
            "ValidationException",
            "ModelDataUrl is required",
        ),
        (
            {"PrimaryContainer": {"ModelPackageName": "package"}},
            "UnsupportedOperationException",
            "PrimaryContainer.ModelPackageName",
        ),
    ],
)
async def test_models_that_are_refused(server: Server, changes: dict[str, Any], code: str, words: str) -> None:
    request = {name: value for name, value in model(**changes).items() if value is not None}
    with pytest.raises(ApiError, match=words) as found:
        await server.call("sagemaker", "CreateModel", **request)
    assert found.value.code == code


async def test_models_and_configurations_have_aws_words_for_taken_and_missing_names(server: Server) -> None:
    await server.call("sagemaker", "CreateModel", **model())
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    config = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    await server.call("sagemaker", "CreateEndpointConfig", **config)
    described = await server.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName="c")
    assert described["ProductionVariants"] == [{**variant, "InitialVariantWeight": 1.0}]
    expected = [
        ("CreateModel", model(), f'Cannot create already existing model "{ARN}:model/m".'),
        (
            "CreateEndpointConfig",
            config,
            f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/c".',
        ),
        ("DescribeModel", {"ModelName": "x"}, f'Could not find model "{ARN}:model/x".'),
        ("DeleteModel", {"ModelName": "x"}, f'Could not find model "{ARN}:model/x".'),
        (
            "DescribeEndpointConfig",
            {"EndpointConfigName": "x"},
            f'Could not find endpoint configuration "{ARN}:endpoint-config/x".',
        ),
        (
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "x"},
            f'Could not find endpoint configuration "{ARN}:endpoint-config/x".',
        ),
        ("DescribeEndpoint", {"EndpointName": "x"}, f'Could not find endpoint "{ARN}:endpoint/x".'),
        ("DeleteEndpoint", {"EndpointName": "x"}, f'Could not find endpoint "{ARN}:endpoint/x".'),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "d", "ProductionVariants": [{**variant, "ModelName": "x"}]},
            f'Could not find model "{ARN}:model/x".',
        ),
    ]
    for operation, params, words in expected:
        with pytest.raises(ApiError) as found:
            await server.call("sagemaker", operation, **params)
        assert (found.value.code, found.value.message) == ("ValidationException", words)


async def test_variants_of_later_kinds_are_refused_by_name(server: Server) -> None:
    dumps = {"CoreDumpConfig": {"DestinationS3Uri": "s3://bucket/dumps"}}
    await server.call("sagemaker", "CreateModel", **model())
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    with pytest.raises(ApiError, match="CoreDumpConfig") as found:
        await server.call(
            "sagemaker", "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[{**variant, **dumps}]
        )
    assert found.value.code == "UnsupportedOperationException"


async def test_tags_of_a_resource(server: Server) -> None:
    await server.call("sagemaker", "CreateModel", **model("Mixed-Case", Tags=[{"Key": "a", "Value": "1"}]))
    arn = f"{ARN}:model/mixed-case"
    await server.call(
        "sagemaker", "AddTags", ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}]
    )
    tags = (await server.call("sagemaker", "ListTags", ResourceArn=arn))["Tags"]
    assert tags == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    await server.call("sagemaker", "DeleteTags", ResourceArn=arn, TagKeys=["a"])
    assert (await server.call("sagemaker", "ListTags", ResourceArn=arn))["Tags"] == [{"Key": "b", "Value": "2"}]
    with pytest.raises(ApiError, match="Could not find model"):
        await server.call("sagemaker", "ListTags", ResourceArn=f"{ARN}:model/none")

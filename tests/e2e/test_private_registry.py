"""Training in an image of a private registry, whose credentials a Lambda function gives; or does not."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.lambda_.functions import Functions, until
from tests.conftest import Server, start_server
from tests.e2e.jobs import BUCKET, described, log_of, upload
from tests.e2e.private_registry import PASSWORD, USER, Registry, private_registry
from wildsage.core.errors import ClientFault
from wildsage.images.choice import Preference
from wildsage.images.seeking import Pull, Seeker
from wildsage.runtimes.containers.engine import Engine, short

RETURNS = "def handler(event, context): return {}"
_ENDED = ("Completed", "Failed", "Stopped")


def says(user: Any, password: Any) -> str:
    return RETURNS.format({"Credentials": {"Username": user, "Password": password}})


PROVIDERS = {
    "right": says(USER, PASSWORD),
    "wrong": says(USER, "guessed"),
    "raises": "def handler(event, context): raise PermissionError('the vault is shut')",
    "slow": "import time\ndef handler(event, context): time.sleep(50)",
    "nonsense": RETURNS.format("'reader:secret'"),
    "numbers": says(USER, 7),
}
REASONS = {
    "wrong": "does not accept these credentials",
    "raises": "The function failed: PermissionError: the vault is shut",
    "slow": "Task timed out after 1.00 seconds",
    "nonsense": 'The function did not return {"Credentials": {"Username": "…", "Password": "…"}}',
    "numbers": "both must be strings",
    "none": "could not be invoked: Function not found",
    "forbidden": "is not authorized to perform: lambda:InvokeFunction",
    "open": "does not accept these credentials, or asks for some",
    "open later": "does not accept these credentials, or asks for some",
}


@pytest.fixture(scope="module")
def registry(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with private_registry(engine, tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def served(engine: str, short_directory: Path) -> Iterator[Server]:
    """A server that knows the engine."""
    started = start_server(short_directory / "private", "--ephemeral", variables={"DOCKER_HOST": engine})
    yield started
    started.stop()


@pytest.fixture(scope="module")
def outcomes(served: Server, registry: Registry) -> dict[str, dict[str, Any]]:
    """What became of a training job for each way in which a function can answer."""
    functions = Functions(served)
    upload(served, "nothing", b"")
    jobs = {"open": _train(served, registry, "")}
    found = _ended(served, jobs)  # before the engine has the image
    for case, text in PROVIDERS.items():
        name = functions.create(text, Timeout=1 if case == "slow" else 60)
        jobs[case] = _train(served, registry, _arn(functions, name))
    right = _arn(functions, functions.made[0])
    jobs["none"] = _train(served, registry, right + "-else")
    jobs["forbidden"] = _train(served, registry, right, role=_role(served))
    found |= _ended(served, {case: name for case, name in jobs.items() if case not in found})
    return found | _ended(served, {"open later": _train(served, registry, "")})


def _ended(server: Server, jobs: dict[str, str]) -> dict[str, dict[str, Any]]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = {case: described(server, name) for case, name in jobs.items()}
        if all(each["TrainingJobStatus"] in _ENDED for each in found.values()):
            return found
        time.sleep(0.2)
    raise AssertionError({case: each["SecondaryStatus"] for case, each in found.items()})


def _arn(functions: Functions, name: str) -> str:
    return str(functions.client.get_function_configuration(FunctionName=name)["FunctionArn"])


def _role(server: Server) -> str:
    """One that may train, and may not invoke functions."""
    iam, name = server.client("iam"), f"trainer-{uuid.uuid4().hex[:8]}"
    service = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [service]}))["Role"]
    allowed = {"Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(allowed))
    return str(role["Arn"])


def _train(server: Server, registry: Registry, provider: str, role: str = "") -> str:
    name = f"private-{uuid.uuid4().hex[:8]}"
    config: dict[str, Any] = {"TrainingRepositoryAccessMode": "Vpc"}
    if provider:
        config["TrainingRepositoryAuthConfig"] = {"TrainingRepositoryCredentialsProviderArn": provider}
    server.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": registry.image,
            "TrainingInputMode": "File",
            "TrainingImageConfig": config,
        },
        RoleArn=role or server.role,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        VpcConfig={"SecurityGroupIds": ["sg-12345678"], "Subnets": ["subnet-12345678"]},
    )
    return name


def test_a_model_asks_its_function_too(served: Server, registry: Registry) -> None:
    functions, sagemaker, name = Functions(served), served.client("sagemaker"), f"private-{uuid.uuid4().hex[:8]}"
    provider = _arn(functions, functions.create(PROVIDERS["wrong"], Timeout=60))
    config = {"RepositoryAccessMode": "Vpc", "RepositoryAuthConfig": {"RepositoryCredentialsProviderArn": provider}}
    container = {"Image": registry.image, "ImageConfig": config}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=served.role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Failed")
    assert REASONS["wrong"] in sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    sagemaker.delete_endpoint(EndpointName=name)


def test_the_right_password_trains(outcomes: dict[str, dict[str, Any]], served: Server) -> None:
    job = outcomes["right"]
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "trained in an image of a private registry" in log_of(served, job["TrainingJobName"])
    assert job["AlgorithmSpecification"]["TrainingImageConfig"]["TrainingRepositoryAccessMode"] == "Vpc"


async def test_a_registry_that_is_gone_leaves_the_engine_its_copy(engine: str, tmp_path: Path) -> None:
    seeker, told = Seeker(Engine({"DOCKER_HOST": engine}), Preference.NONE), list[str]()

    async def progress(line: str) -> None:
        told.append(line)

    async def have(pull: Pull) -> str:
        return (await seeker.have(there.image, await seeker.look(there.image, pull), progress, pull)).id

    with private_registry(engine, tmp_path) as there:
        held = await have(Pull(credentials=(USER, PASSWORD)))
        with pytest.raises(ClientFault, match=REASONS["open"]):
            await have(Pull(guarded=True))
        there.end()
        assert await have(Pull(guarded=True)) == held
        assert told[-1].endswith(f"The copy that the container engine has is used ({short(held)}).")
        assert "its registry cannot be reached" in told[-1]


@pytest.mark.parametrize("case", list(REASONS))
def test_everything_else_fails_in_words(outcomes: dict[str, dict[str, Any]], case: str) -> None:
    """Also where the engine has the image already, from the job that could pull it."""
    job = outcomes[case]
    assert job["TrainingJobStatus"] == "Failed"
    assert REASONS[case] in job["FailureReason"]
    assert PASSWORD not in job["FailureReason"]

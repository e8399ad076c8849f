"""``wildsage demo``: the main job on real data, told step by step.

Upload Fisher's iris data, train a scikit-learn model, deploy it, invoke it, scale it out, clean up; every step is a
call that any AWS client could make, against the server of the data directory (started for the demo if none runs).
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

from wildsage.cli.client import AwsClient, Document
from wildsage.cli.environment import client_environment
from wildsage.cli.server_file import NotRunning, ServerFile, running
from wildsage.core.arn import parse
from wildsage.core.errors import ApiError, WildsageError
from wildsage.core.settings import DataDir, data_dir
from wildsage.wire.sigv4 import Credentials

IMAGE = "683313688378.dkr.ecr.{region}.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
FLOWERS = "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n5.9,3.0,4.2,1.5\n"
_POLL_SECONDS = 0.1


class DemoFailed(WildsageError):
    """A step did not end as it should; the text says which and why."""


class Demo:
    """The steps, in order. ``say`` prints a line."""

    def __init__(self, client: AwsClient, account: str, region: str, role: str, say: Callable[[str], None]) -> None:
        self._client = client
        self._region = region
        self._role = role
        self._say = say
        self._bucket = f"sagemaker-{region}-{account}"
        self._name = time.strftime("demo-iris-%Y%m%d-%H%M%S", time.gmtime())
        self._made: list[str] = []

    async def run(self) -> None:
        """All steps; what was made is cleaned up even if one fails."""
        started = time.monotonic()
        try:
            await self._upload()
            artifacts = await self._train()
            await self._deploy(artifacts)
            await self._invoke()
            await self._scale()
        finally:
            await self._clean_up()
        self._say(f"Done in {time.monotonic() - started:.1f} s.")

    async def _call(self, service: str, operation: str, **params: Any) -> Document:
        return await self._client.call(service, operation, params)

    async def _upload(self) -> None:
        self._say(f"1. Upload: 150 iris flowers and a training script to s3://{self._bucket}/{self._name}/")
        await self._call("s3", "CreateBucket", Bucket=self._bucket)
        data = resources.files("wildsage.cli").joinpath("demo_data")
        await self._put("train/iris.csv", data.joinpath("iris.csv").read_bytes())
        await self._put("sourcedir.tar.gz", _archive("train.py", data.joinpath("train.py.txt").read_bytes()))

    async def _put(self, key: str, body: bytes) -> None:
        await self._call("s3", "PutObject", Bucket=self._bucket, Key=f"{self._name}/{key}", Body=body)

    async def _train(self) -> str:
        self._say(f"2. Train: CreateTrainingJob {self._name} (scikit-learn, ml.m5.large); its log as it comes:")
        place = f"s3://{self._bucket}/{self._name}"
        await self._call(
            "sagemaker",
            "CreateTrainingJob",
            TrainingJobName=self._name,
            RoleArn=self._role,
            AlgorithmSpecification={
                "TrainingImage": IMAGE.format(region=self._region),
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "test:accuracy", "Regex": "test_accuracy=(.*?);"}],
            },
            HyperParameters={
                "regularization": json.dumps(0.5),
                "sagemaker_container_log_level": json.dumps(30),  # warnings: the training environment is long
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(f"{place}/sourcedir.tar.gz"),
            },
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"{place}/train/",
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
            ],
            OutputDataConfig={"S3OutputPath": f"{place}/output"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )
        job = await self._follow_training()
        if job["TrainingJobStatus"] != "Completed":
            raise DemoFailed(f"the training job is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        for metric in job.get("FinalMetricDataList", ()):
            self._say(f"   {metric['MetricName']} = {metric['Value']:.3f}")
        artifacts: str = job["ModelArtifacts"]["S3ModelArtifacts"]
        self._say(f"   model: {artifacts}")
        return artifacts

    async def _follow_training(self) -> Document:
        position: Document = {}
        while True:
            job = await self._call("sagemaker", "DescribeTrainingJob", TrainingJobName=self._name)
            position = await self._show_log(position)
            if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
                await self._show_log(position)
                return job
            await asyncio.sleep(_POLL_SECONDS)

    async def _show_log(self, position: Document) -> Document:
        group = "/aws/sagemaker/TrainingJobs"
        if not position:
            streams = await self._streams(group)
            if not streams:
                return position
            position = {"logStreamName": streams[0]["logStreamName"]}
        page = await self._call("logs", "GetLogEvents", logGroupName=group, startFromHead=True, **position)
        for event in page["events"]:
            self._say(f"   | {event['message']}")
        return {"logStreamName": position["logStreamName"], "nextToken": page["nextForwardToken"]}

    async def _streams(self, group: str) -> list[Document]:
        try:
            answer = await self._call(
                "logs", "DescribeLogStreams", logGroupName=group, logStreamNamePrefix=f"{self._name}/"
            )
        except ApiError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return []  # the group comes with the first line that any job writes
        found: list[Document] = answer["logStreams"]
        return found

    async def _deploy(self, artifacts: str) -> None:
        self._say("3. Deploy: CreateModel, CreateEndpointConfig, CreateEndpoint")
        began = time.monotonic()
        container = {
            "Image": IMAGE.format(region=self._region),
            "ModelDataUrl": artifacts,
            "Environment": {
                "SAGEMAKER_PROGRAM": "train.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{self._bucket}/{self._name}/sourcedir.tar.gz",
            },
        }
        await self._create("Model", ExecutionRoleArn=self._role, PrimaryContainer=container)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": self._name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        await self._create("EndpointConfig", ProductionVariants=[variant])
        await self._create("Endpoint", EndpointConfigName=self._name)
        await self._in_service()
        self._say(f"   InService after {time.monotonic() - began:.2f} s")

    async def _create(self, noun: str, **document: Any) -> None:
        await self._call("sagemaker", f"Create{noun}", **{f"{noun}Name": self._name}, **document)
        self._made.append(noun)

    async def _in_service(self) -> Document:
        while True:
            endpoint = await self._call("sagemaker", "DescribeEndpoint", EndpointName=self._name)
            if endpoint["EndpointStatus"] == "InService":
                return endpoint
            if endpoint["EndpointStatus"] == "Failed":
                raise DemoFailed(f"the endpoint failed: {endpoint.get('FailureReason')}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _invoke(self) -> None:
        self._say("4. Invoke: three flowers as CSV")
        await self._ask()  # the first answer pays for imports that the model put off
        began = time.perf_counter()
        species = await self._ask()
        took = (time.perf_counter() - began) * 1000
        for flower, name in zip(FLOWERS.split(), species, strict=True):
            self._say(f"   {flower} → {name}")
        self._say(f"   answered in {took:.1f} ms")

    async def _ask(self) -> list[str]:
        answer = await self._call(
            "sagemaker-runtime",
            "InvokeEndpoint",
            EndpointName=self._name,
            ContentType="text/csv",
            Accept="application/json",
            Body=FLOWERS.encode(),
        )
        species: list[str] = json.loads(answer["Body"])
        return species

    async def _scale(self) -> None:
        self._say("5. Scale: UpdateEndpointWeightsAndCapacities to two instances")
        began = time.monotonic()
        wish = {"VariantName": "AllTraffic", "DesiredInstanceCount": 2}
        await self._call(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=self._name,
            DesiredWeightsAndCapacities=[wish],
        )
        endpoint = await self._in_service()
        count = endpoint["ProductionVariants"][0]["CurrentInstanceCount"]
        self._say(f"   {count} instances answer after {time.monotonic() - began:.2f} s")

    async def _clean_up(self) -> None:
        self._say("6. Clean up: endpoint, configuration, model, objects")
        for noun in reversed(self._made):
            await self._call("sagemaker", f"Delete{noun}", **{f"{noun}Name": self._name})
        listed = await self._call("s3", "ListObjectsV2", Bucket=self._bucket, Prefix=f"{self._name}/")
        doomed = [{"Key": each["Key"]} for each in listed.get("Contents", ())]
        if doomed:
            await self._call("s3", "DeleteObjects", Bucket=self._bucket, Delete={"Objects": doomed})


def _archive(name: str, body: bytes) -> bytes:
    """A tar.gz with one file, as the SDK makes of a source directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def main(options: argparse.Namespace) -> int:
    """Runs the demo against the server of the data directory; one that was started for it is stopped again."""
    data = data_dir(os.environ, options.data)
    try:
        server = running(data)
    except NotRunning:
        _wildsage("up", data, "--port", "0", "--detach")
        try:
            return _tell(data, running(data))
        finally:
            _wildsage("down", data)
    return _tell(data, server)


def _wildsage(command: str, data: DataDir, *further: str) -> None:
    words = [sys.executable, "-m", "wildsage.cli", command, "--data", str(data.root), *further]
    if subprocess.run(words, check=False).returncode:
        raise DemoFailed(f"`wildsage {command}` did not work; see {data.logs}")


def _tell(data: DataDir, server: ServerFile) -> int:
    try:
        asyncio.run(_run(data, server))
    except ApiError as error:
        raise DemoFailed(f"a call was refused: {error.code}: {error.message}") from error
    return 0


async def _run(data: DataDir, server: ServerFile) -> None:
    environment = client_environment(data, server, os.environ, time.time())
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    role = environment["WILDSAGE_ROLE"]
    credentials = Credentials(*(environment[name] for name in names))
    client = AwsClient(server.host, server.port, server.region, credentials)
    try:
        await Demo(client, parse(role).account, server.region, role, lambda line: print(line, flush=True)).run()
    finally:
        client.close()

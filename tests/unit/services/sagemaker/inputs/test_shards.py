"""What each instance gets of a channel, on the real sandbox."""

from __future__ import annotations

from tests.unit.services.sagemaker.conftest import REGION, SKLEARN, Server, Training
from tests.unit.services.sagemaker.inputs.jobs import READ, of, printed, put

from wildsage.services.sagemaker.instance import roles
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training.inputs.fill import fill
from wildsage.services.sagemaker.training.launch import Job

DEALT = (
    READ
    + """
import os
epochs = [read(f'each_{epoch}').decode() for epoch in range(2)]
print('>', ' '.join(sorted(os.listdir('/opt/ml/input/data/file'))), '|', *epochs)
print('>', os.environ['SM_CHANNELS'])
"""
)


async def test_instances_share_the_keys_and_shuffled_pipes_deal_them_out_anew(
    server: Server, training: Training
) -> None:
    for name in "abcdefgh":
        await server.put(f"data/{name}", name.encode())
    sharded = {"S3DataDistributionType": "ShardedByS3Key"}
    groups = [
        {"InstanceGroupName": "one", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        {"InstanceGroupName": "two", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
    ]
    await training.create(
        "dealt",
        DEALT,
        ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1},
        InputDataConfig=[
            of(name="file", source=sharded),
            of(name="each", source=sharded, InputMode="Pipe", ShuffleConfig={"Seed": 1}),
            of(name="two", source={**sharded, "InstanceGroupNames": ["two"]}),
        ],
    )
    job = await training.end("dealt")
    assert job.get("FailureReason") is None
    files, epochs, names = [], [], []
    for host in ("algo-1", "algo-2", "algo-3"):
        first, second = await printed(server, f"dealt/{host}")
        files.append(first.partition(" | ")[0])
        epochs.append(first.partition(" | ")[2].split())
        names.append(second)
    assert files == ["a d g", "b e h", "c f"]
    for epoch in zip(*epochs, strict=True):
        assert sorted("".join(epoch)) == list("abcdefgh")
    assert any(sorted(first) != sorted(second) for first, second in epochs), "a key moves from host to host"
    assert names == ['["each","file"]', *['["each","file","two"]'] * 2]


async def test_instances_without_keys_have_an_empty_channel(server: Server) -> None:
    await put(server, a=b"first", b=b"second")
    sharded = {"S3DataDistributionType": "ShardedByS3Key"}
    document = {
        "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
        "RoleArn": server.role,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 3},
        "InputDataConfig": [
            of(source=sharded),
            of(name="all"),
            of(name="pipe", source=sharded, InputMode="Pipe"),
            of(name="mixed", source=sharded, InputMode="Pipe", ShuffleConfig={"Seed": 1}),
        ],
    }
    job = Job("shards", "arn", REGION, document, server.data.instances / "shards")
    caller = await roles.assume(server.control.platform, server.role)
    found = []
    for host in job.hosts:
        await fill(job, host, Transfers(server.control.platform.calls, caller, REGION))
        instance = job.folder(host)
        found.append(
            (
                sorted(path.name for path in (instance / "channels" / "train").iterdir()),
                sorted(path.name for path in (instance / "channels" / "all").iterdir()),
                (instance / "feed" / "pipe.entries").read_text(),
                (instance / "feed" / "mixed.entries").read_text().count("\n"),
            )
        )
    assert found == [(["a"], ["a", "b"], "[0]\n", 2), (["b"], ["a", "b"], "[0]\n", 2), ([], ["a", "b"], "", 2)]

"""Every way that data comes into a job, on the real sandbox."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, BUCKET, REGION, SKLEARN, Server, Training
from tests.unit.services.sagemaker.inputs.test_channels import channel
from tests.unit.services.sagemaker.inputs.test_feed import records

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance import roles
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training.inputs.fill import fill
from wildsage.services.sagemaker.training.kind import LOG_GROUP, TRAINING_JOB
from wildsage.services.sagemaker.training.launch import Job
from wildsage.wire.http.messages import BytesBody

DATA = f"s3://{BUCKET}/data/"


def of(uri: str = DATA, name: str = "train", **changes: Any) -> dict[str, Any]:
    """A channel of what ``uri`` names; ``kind`` is its S3DataType."""
    source = {"S3Uri": uri, "S3DataType": changes.pop("kind", "S3Prefix"), **changes.pop("source", {})}
    return channel(name, source, **changes)


async def run(training: Training, name: str, script: str, *channels: dict[str, Any]) -> dict[str, Any]:
    await training.create(name, script, InputDataConfig=list(channels))
    return await training.end(name)


async def printed(server: Server, name: str) -> list[str]:
    """What the script printed, without what the toolkit says; ``name``: a job, or ``job/host``."""
    lines = await server.log(LOG_GROUP, name if "/" in name else f"{name}/")
    return [line.removeprefix("> ") for line in lines if line.startswith("> ")]


async def put(server: Server, **objects: bytes) -> None:
    for name, body in objects.items():
        await server.put(f"data/{name}", body)


LIST = """
import os, pathlib
root = pathlib.Path('/opt/ml/input/data/train')
for path in sorted(root.rglob('*')):
    print('>', path.relative_to(root).as_posix(), path.read_text() if path.is_file() else 'folder')
"""

SPOIL = """
import os, pathlib, shutil
root = pathlib.Path('/opt/ml/input/data/train')
(root / 'a').write_text('spoilt')
os.chmod(root / 'b', 0)
os.truncate(root / 'c', 0)
os.rename(root / 'd', root / 'e')
shutil.rmtree(root / 'deep')
(root / 'new').write_text('mine')
print('>', (root / 'a').read_text(), sorted(os.listdir(root)))
"""


async def test_a_job_may_do_to_its_input_what_it_likes_and_the_objects_stay(server: Server, training: Training) -> None:
    await put(server, a=b"first", b=b"second", c=b"third", d=b"fourth")
    await server.put("data/deep/f", b"fifth")
    await server.put("data/empty/", b"")
    job = await run(training, "spoil", SPOIL, of())
    assert job.get("FailureReason") is None
    assert await printed(server, "spoil") == ["spoilt ['a', 'b', 'c', 'e', 'empty', 'new']"]
    job = await run(training, "again", LIST, of())
    assert await printed(server, "again") == [
        *("a first", "b second", "c third", "d fourth", "deep folder", "deep/f fifth", "empty folder"),
    ]
    blobs = [path for path in server.data.objects.rglob("*") if path.is_file()]
    assert {path.stat().st_nlink for path in blobs} == {1}, "the links are gone with the jobs"
    assert list(server.data.instances.iterdir()) == []


async def test_fast_file_mode_is_read_only(server: Server, training: Training) -> None:
    await put(server, a=b"first")
    script = (
        LIST + "\ntry:\n    (root / 'a').write_text('x')\nexcept OSError as error:\n    print('>', error.strerror)\n"
    )
    assert (await run(training, "fast", script, of(InputMode="FastFile"))).get("FailureReason") is None
    assert await printed(server, "fast") == ["a first", "Read-only file system"]


async def test_a_manifest_names_the_objects_one_by_one(server: Server, training: Training) -> None:
    await put(server, a=b"first", b=b"second", c=b"third")
    await server.put("data/deep/d", b"fourth")
    manifest = await server.put("m.json", json.dumps([{"prefix": DATA}, "c", "deep/d", "a"]).encode())
    job = await run(training, "manifest", LIST, of(manifest, kind="ManifestFile"))
    assert job.get("FailureReason") is None
    assert await printed(server, "manifest") == ["a first", "c third", "deep folder", "deep/d fourth"]


async def test_encrypted_objects_are_copied_and_readable(server: Server, training: Training) -> None:
    body = os.urandom(300_000).hex().encode()
    await server.call(
        "s3", "PutObject", Bucket=BUCKET, Key="data/secret", Body=BytesBody(body), ServerSideEncryption="aws:kms"
    )
    await put(server, open=b"open")
    script = (
        "import hashlib, pathlib\n"
        "for name in ('secret', 'open'):\n"
        "    first = pathlib.Path('/opt/ml/input/data/train', name).read_bytes()\n"
        "    print('>', len(first))\n"
        "print('>', len(open('/opt/ml/input/data/piped_0', 'rb').read()))\n"
    )
    job = await run(training, "sealed", script, of(), of(name="piped", InputMode="Pipe"))
    assert job.get("FailureReason") is None
    assert await printed(server, "sealed") == ["600000", "4", "600004"]


READ = """
def read(name, size=-1):
    with open('/opt/ml/input/data/' + name, 'rb') as file:
        return file.read(size)
"""


async def test_pipe_mode_streams_each_channel_for_as_many_epochs_as_are_read(
    server: Server, training: Training
) -> None:
    await put(server, a=b"first ", b=b"second ", c=b"third ")
    await server.put("data/folder/", b"")
    script = READ + (
        "import json, os\n"
        "for epoch in range(3):\n"
        "    print('>', read(f'train_{epoch}').decode(), read(f'twin_{epoch}', 5).decode())\n"
        "print('>', sorted(os.listdir('/opt/ml/input/data')), open('/opt/ml/input/data/file/a').read())\n"
        "print('>', json.load(open('/opt/ml/input/config/inputdataconfig.json'))['twin'])\n"
    )
    pipe = {"InputMode": "Pipe"}
    job = await run(training, "pipes", script, of(**pipe), of(name="twin", **pipe, ContentType="x/y"), of(name="file"))
    assert job.get("FailureReason") is None
    lines = await printed(server, "pipes")
    assert lines[:3] == ["first second third  first"] * 3
    assert "'train_3'" in lines[3] and "'file'" in lines[3] and lines[3].endswith("first ")
    assert lines[4] == str(
        {
            "ContentType": "x/y",
            "TrainingInputMode": "Pipe",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    )


async def test_gzip_shuffle_and_records_in_pipe_mode(server: Server, training: Training) -> None:
    for number in range(8):
        await server.put(f"data/{number}", gzip.compress(str(number).encode()))
    script = READ + "for epoch in range(2):\n    print('>', read(f'train_{epoch}').hex())\n"
    changes: dict[str, Any] = {"CompressionType": "Gzip", "RecordWrapperType": "RecordIO", "ShuffleConfig": {"Seed": 3}}
    job = await run(training, "wrapped", script, of(InputMode="Pipe", **changes))
    assert job.get("FailureReason") is None
    first, second = [records(bytes.fromhex(line)) for line in await printed(server, "wrapped")]
    assert sorted(first) == sorted(second) == [str(number).encode() for number in range(8)]
    assert first != second


async def test_an_augmented_manifest_is_streamed_attribute_by_attribute(server: Server, training: Training) -> None:
    await put(server, cat=b"miau", dog=b"wuff")
    lines = [{"image-ref": f"{DATA}{name}", "is-a-cat": int(name == "cat"), "x": 0} for name in ("cat", "dog", "cat")]
    text = "\n".join(map(json.dumps, lines)) + "\n\n"
    manifest = await server.put("augmented", text.encode())
    source = {"AttributeNames": ["image-ref", "is-a-cat"]}
    augmented: dict[str, Any] = {"kind": "AugmentedManifestFile", "source": source, "InputMode": "Pipe"}
    script = READ + "print('>', read('train_0').hex())\nprint('>', read('bare_0').hex())\n"
    job = await run(
        training,
        "augmented",
        script,
        of(manifest, RecordWrapperType="RecordIO", **augmented),
        of(manifest, name="bare", **augmented),
    )
    assert job.get("FailureReason") is None
    wrapped, bare = [bytes.fromhex(line) for line in await printed(server, "augmented")]
    assert records(wrapped) == [b"miau", b"1", b"wuff", b"0", b"miau", b"1"]
    assert bare == b"miau1wuff0miau1"


REFERENCE = {"AttributeNames": ["a-ref"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            of(f"s3://{BUCKET}/nothing/"),
            f'ClientError: Data download failed:No S3 objects found under S3 URL "s3://{BUCKET}/nothing/" given in '
            "input data source. Please ensure that the bucket exists",
        ),
        (of("s3://no-such-bucket/x", InputMode="Pipe"), 'No S3 objects found under S3 URL "s3://no-such-bucket/x"'),
        (of(f"s3://{BUCKET}/m0", kind="ManifestFile"), f'No S3 objects found under S3 URL "s3://{BUCKET}/m0"'),
        (of(f"s3://{BUCKET}/data/a", kind="ManifestFile"), f"The manifest s3://{BUCKET}/data/a is not JSON"),
        (
            of(f"s3://{BUCKET}/m1", kind="ManifestFile"),
            f"The object {DATA}missing, which the manifest s3://{BUCKET}/m1 names, does not exist.",
        ),
        (
            of(
                f"s3://{BUCKET}/m2",
                kind="AugmentedManifestFile",
                source={"AttributeNames": ["a-ref"]},
                InputMode="Pipe",
            ),
            f"The object {DATA}missing, which the manifest s3://{BUCKET}/m2 names, does not exist.",
        ),
        (of(f"s3://{BUCKET}/odd/"), "cannot be a path in File mode"),
        (of(f"s3://{BUCKET}/both/"), "a name is that of two files, or of a file and of a folder"),
        (
            of(InputMode="Pipe", CompressionType="Gzip"),
            f"{DATA}a cannot be decompressed, although its channel has CompressionType Gzip",
        ),
    ],
)
async def test_input_that_is_not_as_it_should_be(
    server: Server, training: Training, changes: dict[str, Any], words: str
) -> None:
    await put(server, a=b"first")
    await server.put("m1", json.dumps([{"prefix": DATA}, "a", "missing"]).encode())
    await server.put("m2", json.dumps({"a-ref": f"{DATA}missing"}).encode())
    await server.put("odd/../x", b"")
    await server.put("both/x", b"1")
    await server.put("both/x/y", b"2")
    # Whatever it sees of its input, it is content.
    script = "import glob\nfor name in glob.glob('/opt/ml/input/data/*_0'):\n    open(name, 'rb').read()\n"
    job = await run(training, "bad", script, changes)
    assert job["TrainingJobStatus"] == "Failed"
    assert words in job["FailureReason"]
    assert "ModelArtifacts" not in job or not job["ModelArtifacts"].get("S3ModelArtifacts")


async def test_a_role_that_may_not_read(server: Server, training: Training) -> None:
    await put(server, a=b"first")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    made = await server.call("iam", "CreateRole", RoleName="lister", AssumeRolePolicyDocument=json.dumps(trust))
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "*"}
    code = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/denied-*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed, code]})
    await server.call("iam", "PutRolePolicy", RoleName="lister", PolicyName="list", PolicyDocument=policy)
    for mode in ("File", "FastFile", "Pipe"):
        name = f"denied-{mode}"
        await training.create(name, LIST, InputDataConfig=[of(InputMode=mode)], RoleArn=made["Role"]["Arn"])
        job = await training.end(name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith(f"ClientError: Data download failed:Could not download {DATA}a: ")
        assert '"s3:GetObject" permissions' in job["FailureReason"]


WAITS = (
    READ
    + """
import os, pathlib, time
with open('/opt/ml/input/data/train_0', 'rb') as file:
    total = len(file.read(1 << 20))
    print('> reading', flush=True)
    gate = pathlib.Path('/opt/ml/input/data/gate/open')
    while not pathlib.Path('/opt/ml/code/go').exists():
        time.sleep(0.01)
    while piece := file.read(1 << 20):
        total += len(piece)
print('>', total, len(read('train_1')))
"""
)


async def started(server: Server, training: Training, name: str) -> Path:
    """A job that has read a part of its pipe and waits for a file; the folder of its instance."""
    await server.put("data/big", bytes(24 << 20))
    await training.create(name, WAITS, InputDataConfig=[of(InputMode="Pipe")])
    while "reading" not in await printed(server, name):
        resource = await server.control.platform.resources.get(TRAINING_JOB.key(ACCOUNT, REGION, name))
        assert resource is not None and resource.phase == "InProgress", resource
        await server.control.platform.hints.wait(f"resource {resource.key!r}", 0.05)
    (instance,) = server.data.instances.glob("*/algo-1")
    return instance


def feeder_of(instance: Path) -> tuple[int, int]:
    """The process ids of its keeper and of the program."""
    keeper = (instance / "feeder" / "keeper").read_text().split()[1]
    return int(keeper), int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text())


async def test_the_data_goes_on_to_flow_when_control_does_not(server: Server, training: Training) -> None:
    instance = await started(server, training, "flows")
    await server.stop()
    (instance / "ml" / "code" / "go").touch()
    await server.start()
    job = await training.end("flows")
    assert job.get("FailureReason") is None
    assert (await printed(server, "flows"))[1:] == [f"{24 << 20} {24 << 20}"]


@pytest.mark.parametrize("victim", ["keeper", "program"])
async def test_a_feeder_that_is_killed_fails_the_job_in_words(server: Server, training: Training, victim: str) -> None:
    instance = await started(server, training, "broken")
    keeper, program = feeder_of(instance)
    os.kill(keeper if victim == "keeper" else program, signal.SIGKILL)
    job = await training.end("broken")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: The process that streams the data of the channels in")
    assert list(server.data.instances.iterdir()) == []


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


async def test_two_keys_of_one_path_never_write_into_a_stored_object(server: Server) -> None:
    """The second must not be written through the link of the first."""
    await server.put("twice/x", b"stored")
    await server.call(
        "s3",
        "PutObject",
        Bucket=BUCKET,
        Key="twice//x",
        Body=BytesBody(b"sealed"),
        ServerSideEncryption="aws:kms",
    )
    document = {
        "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
        "RoleArn": server.role,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "InputDataConfig": [of(f"s3://{BUCKET}/twice/")],
    }
    job = Job("twice", "arn", REGION, document, server.data.instances / "twice")
    caller = await roles.assume(server.control.platform, server.role)
    with pytest.raises(ClientFault, match="cannot be a path in File mode: a name is that of two files"):
        await fill(job, job.hosts[0], Transfers(server.control.platform.calls, caller, REGION))
    assert await server.get("twice/x") == b"stored"

"""Every way that data comes into a job, on the real sandbox."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import BUCKET, REGION, SKLEARN, Server, Training
from tests.unit.services.sagemaker.inputs.jobs import DATA, LIST, of, printed, put, run

from wildsage.core.errors import ClientFault
from wildsage.services.sagemaker.instance import roles
from wildsage.services.sagemaker.instance.transfers import Transfers
from wildsage.services.sagemaker.training.inputs.fill import fill
from wildsage.services.sagemaker.training.launch import Job
from wildsage.wire.http.messages import BytesBody

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

"""Data that streams into a job, on the real sandbox."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.sagemaker.conftest import ACCOUNT, REGION, Server, Training
from tests.unit.services.sagemaker.inputs.jobs import DATA, READ, of, printed, put, run
from tests.unit.services.sagemaker.inputs.test_feed import records

from wildsage.services.sagemaker.training.kind import TRAINING_JOB


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

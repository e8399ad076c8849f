"""A job that prints much and ends at once: every line is in its log, in order."""

from __future__ import annotations

from tests.unit.services.sagemaker.conftest import Server, Training
from tests.unit.services.sagemaker.test_training import left_behind

from wildsage.services.sagemaker.training.kind import LOG_GROUP

COUNT = 100_000
# 10 MB on both outputs' one stream, some of it not ASCII, and a last line without its end.
MUCH = f"""
import os, sys
for number in range({COUNT}):
    print(f"{{number:07d}} " + ("ü" if number % 1000 == 0 else "u") * 92)
sys.stdout.flush()
os.write(2, b"the end")
os._exit(0)
"""


async def stream_of(server: Server, job: str) -> list[str]:
    found = await server.call("logs", "DescribeLogStreams", logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job}/")
    (stream,) = found["logStreams"]
    lines: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await server.call(
            "logs",
            "GetLogEvents",
            logGroupName=LOG_GROUP,
            logStreamName=stream["logStreamName"],
            startFromHead=True,
            **token,
        )
        lines += [each["message"] for each in page["events"]]
        if token == {"nextToken": page["nextForwardToken"]}:
            return lines
        token = {"nextToken": page["nextForwardToken"]}


async def test_no_line_is_lost_at_the_end(server: Server, training: Training) -> None:
    await training.create("much", MUCH)
    job = await training.end("much")
    assert job.get("FailureReason") is None
    lines = await stream_of(server, "much")
    begin = lines.index("0000000 " + "ü" * 92)
    told = lines[begin : begin + COUNT]
    assert [line[:7] for line in told] == [f"{number:07d}" for number in range(COUNT)]
    assert all(line[8:] == ("ü" if number % 1000 == 0 else "u") * 92 for number, line in enumerate(told))
    assert "the end" in lines[begin + COUNT]
    assert await left_behind(server) == []

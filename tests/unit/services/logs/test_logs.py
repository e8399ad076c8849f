"""CloudWatch Logs, through its operations on a real store."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.unit.services.conftest import REGION, Api

from wildsage.core.errors import ApiError, Unsupported
from wildsage.kit import logstreams
from wildsage.kit.context import Platform
from wildsage.kit.logstreams import LogStream

GROUP = "/aws/sagemaker/TrainingJobs"
NOW = round(time.time() * 1000)


async def fill(api: Api, stream: str, *messages: str, start: int = NOW) -> None:
    await api.logs("CreateLogStream", logGroupName=GROUP, logStreamName=stream)
    events = [{"timestamp": start + number, "message": text} for number, text in enumerate(messages)]
    await api.logs("PutLogEvents", logGroupName=GROUP, logStreamName=stream, logEvents=events)


@pytest.fixture
async def group(api: Api) -> str:
    await api.logs("CreateLogGroup", logGroupName=GROUP)
    return GROUP


def messages(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


async def test_groups_are_described_by_prefix_and_in_pages(api: Api) -> None:
    for name in ("/a/1", "/a/2", "/a/3", "/b/1"):
        await api.logs("CreateLogGroup", logGroupName=name)
    first = await api.logs("DescribeLogGroups", logGroupNamePrefix="/a/", limit=2)
    rest = await api.logs("DescribeLogGroups", logGroupNamePrefix="/a/", limit=2, nextToken=first["nextToken"])
    assert [each["logGroupName"] for each in first["logGroups"] + rest["logGroups"]] == ["/a/1", "/a/2", "/a/3"]
    assert first["logGroups"][0]["arn"] == f"arn:aws:logs:{REGION}:000000000000:log-group:/a/1:*"
    assert "nextToken" not in rest


async def test_a_group_exists_once_and_only_what_exists_can_be_used(api: Api, group: str) -> None:
    with pytest.raises(ApiError, match="already exists") as found:
        await api.logs("CreateLogGroup", logGroupName=group)
    assert found.value.code == "ResourceAlreadyExistsException"
    for operation, params in (
        ("CreateLogStream", {"logGroupName": "none", "logStreamName": "s"}),
        ("DescribeLogStreams", {"logGroupName": "none"}),
        ("DeleteLogGroup", {"logGroupName": "none"}),
        ("GetLogEvents", {"logGroupName": group, "logStreamName": "none"}),
        ("DeleteLogStream", {"logGroupName": group, "logStreamName": "none"}),
    ):
        with pytest.raises(ApiError) as missing:
            await api.logs(operation, **params)
        assert missing.value.code == "ResourceNotFoundException"


async def test_events_come_back_from_the_head_with_the_same_token_at_the_end(api: Api, group: str) -> None:
    await fill(api, "job/algo-1-1", *"abcde")
    params = {"logGroupName": group, "logStreamName": "job/algo-1-1", "startFromHead": True}
    first = await api.logs("GetLogEvents", limit=3, **params)
    second = await api.logs("GetLogEvents", limit=3, nextToken=first["nextForwardToken"], **params)
    third = await api.logs("GetLogEvents", limit=3, nextToken=second["nextForwardToken"], **params)
    assert (messages(first), messages(second), messages(third)) == (list("abc"), list("de"), [])
    assert third["nextForwardToken"] == second["nextForwardToken"]
    back = await api.logs("GetLogEvents", limit=2, nextToken=second["nextBackwardToken"], **params)
    assert messages(back) == ["b", "c"]


async def test_without_start_from_head_the_latest_events_come(api: Api, group: str) -> None:
    await fill(api, "s", *"abcde")
    latest = await api.logs("GetLogEvents", logGroupName=group, logStreamName="s", limit=2)
    assert messages(latest) == ["d", "e"]
    before = await api.logs(
        "GetLogEvents", logGroupName=group, logStreamName="s", limit=2, nextToken=latest["nextBackwardToken"]
    )
    assert messages(before) == ["b", "c"]


async def test_an_empty_stream_polls_with_one_token_until_lines_arrive(
    api: Api, group: str, platform: Platform
) -> None:
    stream = LogStream("000000000000", REGION, group, "job/algo-1-2")
    await logstreams.ensure(platform, stream)
    params = {"logGroupName": group, "logStreamName": stream.name, "startFromHead": True}
    empty = await api.logs("GetLogEvents", **params)
    again = await api.logs("GetLogEvents", nextToken=empty["nextForwardToken"], **params)
    assert again["nextForwardToken"] == empty["nextForwardToken"]
    await logstreams.append(platform, stream, [(NOW, "first"), (NOW, "second"), (NOW, "")])
    lines = await api.logs("GetLogEvents", nextToken=again["nextForwardToken"], **params)
    assert messages(lines) == ["first", "second", " "]


async def test_streams_are_found_by_prefix_and_by_last_event(api: Api, group: str) -> None:
    await fill(api, "job-a/algo-1", "x", start=NOW - 5000)
    await fill(api, "job-b/algo-1", "x", start=NOW)
    await fill(api, "job-c/algo-1", "x", start=NOW - 9000)
    by_prefix = await api.logs("DescribeLogStreams", logGroupName=group, logStreamNamePrefix="job-a/")
    assert [each["logStreamName"] for each in by_prefix["logStreams"]] == ["job-a/algo-1"]
    assert by_prefix["logStreams"][0]["lastEventTimestamp"] == NOW - 5000
    latest = await api.logs("DescribeLogStreams", logGroupName=group, orderBy="LastEventTime", descending=True, limit=2)
    assert [each["logStreamName"] for each in latest["logStreams"]] == ["job-b/algo-1", "job-a/algo-1"]
    rest = await api.logs(
        "DescribeLogStreams",
        logGroupName=group,
        orderBy="LastEventTime",
        descending=True,
        limit=2,
        nextToken=latest["nextToken"],
    )
    assert [each["logStreamName"] for each in rest["logStreams"]] == ["job-c/algo-1"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ["ERROR disk full", "INFO disk ok", "WARN cpu hot"]),
        ("disk", ["ERROR disk full", "INFO disk ok"]),
        ("ERROR disk", ["ERROR disk full"]),
        ("disk -ERROR", ["INFO disk ok"]),
        ("?ERROR ?WARN", ["ERROR disk full", "WARN cpu hot"]),
        ('"disk ok"', ["INFO disk ok"]),
        ("%^W.*t$%", ["WARN cpu hot"]),
        ("error", []),
    ],
)
async def test_filter_patterns_of_terms(api: Api, group: str, pattern: str, expected: list[str]) -> None:
    await fill(api, "s", "ERROR disk full", "INFO disk ok", "WARN cpu hot")
    found = await api.logs("FilterLogEvents", logGroupName=group, filterPattern=pattern)
    assert messages(found) == expected
    assert "nextToken" not in found


async def test_filtering_goes_over_streams_in_pages(api: Api, group: str) -> None:
    await fill(api, "AllTraffic/i-1", "a", "c", start=NOW)
    await fill(api, "AllTraffic/i-2", "b", start=NOW)
    await fill(api, "Other/i-3", "z", start=NOW)
    first = await api.logs("FilterLogEvents", logGroupName=group, logStreamNamePrefix="AllTraffic/", limit=2)
    rest = await api.logs(
        "FilterLogEvents", logGroupName=group, logStreamNamePrefix="AllTraffic/", limit=2, nextToken=first["nextToken"]
    )
    assert sorted(messages(first) + messages(rest)) == ["a", "b", "c"]
    assert first["events"][0]["logStreamName"] == "AllTraffic/i-1"
    assert len({event["eventId"] for event in first["events"] + rest["events"]}) == 3


async def test_json_patterns_are_refused_by_name(api: Api, group: str) -> None:
    with pytest.raises(Unsupported, match="JSON patterns"):
        await api.logs("FilterLogEvents", logGroupName=group, filterPattern="{ $.level = 1 }")


async def test_events_too_old_or_too_new_are_rejected(api: Api, group: str) -> None:
    await api.logs("CreateLogStream", logGroupName=group, logStreamName="s")
    day = 86_400_000
    old = await api.logs(
        "PutLogEvents", logGroupName=group, logStreamName="s", logEvents=[{"timestamp": NOW - 20 * day, "message": "o"}]
    )
    new = await api.logs(
        "PutLogEvents", logGroupName=group, logStreamName="s", logEvents=[{"timestamp": NOW + day, "message": "n"}]
    )
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
    unordered = [{"timestamp": NOW, "message": "b"}, {"timestamp": NOW - 1, "message": "a"}]
    with pytest.raises(ApiError, match="chronological order"):
        await api.logs("PutLogEvents", logGroupName=group, logStreamName="s", logEvents=unordered)


async def test_deleting_a_group_takes_its_streams_and_events_along(api: Api, group: str) -> None:
    await fill(api, "s", "a")
    await api.logs("DeleteLogGroup", logGroupName=group)
    await api.logs("CreateLogGroup", logGroupName=group)
    assert (await api.logs("DescribeLogStreams", logGroupName=group))["logStreams"] == []
    assert messages(await api.logs("FilterLogEvents", logGroupName=group)) == []


async def test_retention_is_kept_and_described(api: Api, group: str) -> None:
    await api.logs("PutRetentionPolicy", logGroupName=group, retentionInDays=14)
    assert (await api.logs("DescribeLogGroups"))["logGroups"][0]["retentionInDays"] == 14
    await api.logs("DeleteRetentionPolicy", logGroupName=group)
    assert "retentionInDays" not in (await api.logs("DescribeLogGroups"))["logGroups"][0]
    with pytest.raises(ApiError, match="enum value set"):
        await api.logs("PutRetentionPolicy", logGroupName=group, retentionInDays=2)


@pytest.mark.parametrize("token", ["f/1", "x/" + "0" * 56, "f/" + "a" * 56, "junk"])
async def test_tokens_of_others_are_refused(api: Api, group: str, token: str) -> None:
    await fill(api, "s", "a")
    with pytest.raises(ApiError, match="nextToken"):
        await api.logs("GetLogEvents", logGroupName=group, logStreamName="s", nextToken=token)

"""CloudWatch Logs through boto3 and its paginators."""

from __future__ import annotations

import time

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server


def test_logs_through_a_stock_client(server: Server) -> None:
    logs = server.client("logs")
    logs.create_log_group(logGroupName="/api/test", tags={"a": "b"})
    logs.create_log_stream(logGroupName="/api/test", logStreamName="one")
    now = round(time.time() * 1000)
    events = [{"timestamp": now + number, "message": f"line {number} ✓"} for number in range(250)]
    logs.put_log_events(logGroupName="/api/test", logStreamName="one", logEvents=events)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/api/test", filterPattern="line", PaginationConfig={"PageSize": 100}
    )
    assert [event["message"] for page in pages for event in page["events"]] == [each["message"] for each in events]
    token = ""
    read: list[str] = []
    while True:
        position = {"nextToken": token} if token else {}
        page = logs.get_log_events(
            logGroupName="/api/test", logStreamName="one", startFromHead=True, limit=100, **position
        )
        if page["nextForwardToken"] == token:
            break
        read += [event["message"] for event in page["events"]]
        token = page["nextForwardToken"]
    assert read == [each["message"] for each in events]
    assert logs.describe_log_groups(logGroupNamePrefix="/api/")["logGroups"][0]["logGroupName"] == "/api/test"
    logs.delete_log_group(logGroupName="/api/test")
    with pytest.raises(ClientError, match="The specified log group does not exist") as found:
        logs.delete_log_group(logGroupName="/api/test")
    assert found.value.response["Error"]["Code"] == "ResourceNotFoundException"

"""Records of calls, on a real store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wildsage.compose.table import Control, compose
from wildsage.core.errors import ApiError
from wildsage.core.settings import DataDir, Settings
from wildsage.gateway.audit import TOPIC
from wildsage.store.facts import Window


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    made = await compose(Settings(DataDir(tmp_path)))
    yield made
    await made.close()


async def call(control: Control, service: str, operation: str, **params: Any) -> Any:
    return await control.door.call(control.platform.credentials.root, "eu-west-1", service, operation, params)


async def records(control: Control) -> list[dict[str, Any]]:
    await control.audit.flush()
    return [json.loads(fact.body) for fact in await control.platform.facts.read(Window(TOPIC))]


async def test_who_did_what_is_recorded(control: Control) -> None:
    await call(control, "iam", "CreateUser", UserName="ada")
    (record,) = await records(control)
    assert record["eventSource"] == "iam.amazonaws.com"
    assert record["eventName"] == "CreateUser"
    assert record["awsRegion"] == "eu-west-1"
    assert record["userIdentity"]["type"] == "Root"
    assert record["requestParameters"] == {"userName": "ada"}
    assert record["readOnly"] is False


async def test_failures_are_recorded_with_their_code(control: Control) -> None:
    with pytest.raises(ApiError):
        await call(control, "iam", "GetUser", UserName="nobody")
    (record,) = await records(control)
    assert record["errorCode"] == "NoSuchEntity"
    assert record["readOnly"] is True


async def test_objects_are_not_recorded_but_buckets_are(control: Control) -> None:
    await call(
        control, "s3", "CreateBucket", Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    with pytest.raises(ApiError):
        await call(control, "s3", "GetObject", Bucket="bucket", Key="a")
    assert [record["eventName"] for record in await records(control)] == ["CreateBucket"]


async def test_what_the_model_calls_sensitive_is_hidden(control: Control) -> None:
    with pytest.raises(ApiError):
        await call(control, "iam", "ChangePassword", OldPassword="old", NewPassword="newer1")
    (record,) = await records(control)
    assert record["requestParameters"] == {
        "oldPassword": "HIDDEN_DUE_TO_SECURITY_REASONS",
        "newPassword": "HIDDEN_DUE_TO_SECURITY_REASONS",
    }

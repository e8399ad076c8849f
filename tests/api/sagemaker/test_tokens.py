"""A pagination token that this server never gave is the caller's mistake, whatever it holds."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server

TOKENS = [
    base64.urlsafe_b64encode(raw).decode().rstrip("=") for raw in (b"5", b"{}", b'["a"]', b"[[1],2]", b"[" * 3000)
]


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_made_up_token_is_refused(server: Server, token: str) -> None:
    sagemaker, logs = server.client("sagemaker"), server.client("logs")
    calls: list[Any] = [
        lambda: sagemaker.list_models(NextToken=token),
        lambda: sagemaker.list_training_jobs(NextToken=token),
        lambda: logs.describe_log_groups(nextToken=token),
    ]
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] in ("ValidationException", "InvalidParameterException")

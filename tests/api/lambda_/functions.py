"""Functions for tests: zips made in memory, created and waited for."""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from tests.conftest import Server

_SECONDS = 120.0


def until(found: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """The first true value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("it did not come")


def zipped(**files: str) -> bytes:
    """``main="…"`` is the file main.py."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return held.getvalue()


@dataclass
class Called:
    """What Invoke answered."""

    status: int
    payload: Any
    error: str | None
    log: list[str]
    answer: dict[str, Any]


class Functions:
    """One client of Lambda: that of ``server``'s execution role, if no other is given."""

    def __init__(self, server: Server, client: Any = None) -> None:
        self.server = server
        self.client = client or server.client("lambda")
        self.role = server.role
        self.made: list[str] = []

    def messages(self, name: str) -> list[str]:
        """Everything that was logged, if anything was."""
        try:
            pages = (
                self.server.client("logs")
                .get_paginator("filter_log_events")
                .paginate(logGroupName=f"/aws/lambda/{name}")
            )
            return [each["message"] for page in pages for each in page["events"]]
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException"
            return []

    def create(self, text: str, **options: Any) -> str:
        """The name of a function whose handler is ``handler`` in main.py; it is Active."""
        name = f"f-{uuid.uuid4().hex[:12]}"
        asked = {
            "Runtime": "python3.11",
            "Handler": "main.handler",
            "Role": self.role,
            "Code": {"ZipFile": zipped(main=text)},
            **options,
        }
        self.client.create_function(FunctionName=name, **asked)
        self.made.append(name)
        self.wait(name)
        return name

    def wait(self, name: str) -> None:
        """Until it is Active and its last change has been made; as the waiters of boto3, which look once a second."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            found = self.client.get_function_configuration(FunctionName=name)
            if found["State"] == "Active" and found["LastUpdateStatus"] == "Successful":
                return
            assert "Failed" not in (found["State"], found.get("LastUpdateStatus")), found
            time.sleep(0.05)
        raise AssertionError(f"{name} is not ready: {found}")

    def invoke(self, name: str, event: Any = None, **options: Any) -> Called:
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event or {}), LogType="Tail", **options)
        text = answer["Payload"].read()
        log = base64.b64decode(answer.get("LogResult", "")).decode().splitlines()
        payload = json.loads(text) if text else None
        return Called(answer["StatusCode"], payload, answer.get("FunctionError"), log, answer)

    def clear(self) -> None:
        """Deletes what is still there."""
        for name in self.made:
            try:
                self.client.delete_function(FunctionName=name)
            except self.client.exceptions.ResourceNotFoundException:
                continue

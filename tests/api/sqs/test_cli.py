"""``aws sqs``, and clients that still speak the query protocol."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.conftest import Server

AWS = str(Path(sys.executable).with_name("aws"))


def aws(server: Server, *words: str) -> dict[str, Any]:
    done = server.run(AWS, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    return found


def test_the_commands_people_type(server: Server) -> None:
    url = aws(server, "sqs", "create-queue", "--queue-name", f"cli-{uuid.uuid4().hex}")["QueueUrl"]
    aws(server, "sqs", "send-message", "--queue-url", url, "--message-body", "from the shell")
    found = aws(server, "sqs", "receive-message", "--queue-url", url, "--wait-time-seconds", "10")
    assert [message["Body"] for message in found["Messages"]] == ["from the shell"]
    aws(server, "sqs", "delete-queue", "--queue-url", url)


def form(server: Server, **fields: str) -> tuple[int, str]:
    """A signed request of the query protocol, as clients older than 2023 send it."""
    environment = server.environment
    request = AWSRequest("POST", f"{server.url}/", data=urlencode({"Version": "2012-11-05", **fields}))
    request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    credentials = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_SESSION_TOKEN"]
    )
    SigV4Auth(credentials, "sqs", "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, request.data.encode(), dict(request.headers))
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_query_protocol(server: Server) -> None:
    url = server.client("sqs").create_queue(QueueName=f"query-{uuid.uuid4().hex}")["QueueUrl"]
    status, text = form(server, Action="SendMessage", QueueUrl=url, MessageBody="old <client>")
    assert (status, "<MD5OfMessageBody>" in text) == (200, True)
    status, text = form(server, Action="ReceiveMessage", QueueUrl=url)
    assert (status, "<Body>old &lt;client&gt;</Body>" in text) == (200, True)
    status, text = form(server, Action="GetQueueUrl", QueueName="nowhere")
    assert (status, "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in text) == (400, True)

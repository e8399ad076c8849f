"""Queues through boto3: create, attributes, tags, permissions, listing."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.conftest import Server


def new(sqs: Any, suffix: str = "", **attributes: str) -> str:
    """The URL of a new queue."""
    if suffix == ".fifo":
        attributes["FifoQueue"] = "true"
    url: str = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}{suffix}", Attributes=attributes)["QueueUrl"]
    return url


def arn_of(sqs: Any, url: str) -> str:
    found: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return found


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return str(failure.value.response["Error"]["Code"])


def test_a_queue_is_made_found_described_and_deleted(server: Server) -> None:
    sqs = server.client("sqs")
    name = f"life-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"}, tags={"team": "ml"})["QueueUrl"]
    assert url == f"{server.url}/000000000000/{name}"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})["QueueUrl"] == url
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "8"})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["QueueArn"] == f"arn:aws:sqs:us-east-1:000000000000:{name}"
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("7", "345600")
    assert found["ApproximateNumberOfMessages"] == "0"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    chosen = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]
    assert chosen == {"DelaySeconds": "1"}
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "test"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "test"}
    assert url in sqs.list_queues(QueueNamePrefix="life-")["QueueUrls"]
    sqs.delete_queue(QueueUrl=url)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as failure:
        sqs.get_queue_url(QueueName=name)
    assert code_of(failure) == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=url, MessageBody="x")


def test_queues_are_listed_in_pages(server: Server) -> None:
    sqs = server.client("sqs")
    prefix = f"pages-{uuid.uuid4().hex[:8]}"
    made = sorted(sqs.create_queue(QueueName=f"{prefix}-{number}")["QueueUrl"] for number in range(5))
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2})
    assert [url for page in pages for url in page.get("QueueUrls", [])] == made


@pytest.mark.parametrize(
    ("name", "attributes", "code"),
    [
        ("a b", {}, "InvalidParameterValue"),
        ("a.fifo", {}, "InvalidParameterValue"),
        ("a", {"FifoQueue": "true"}, "InvalidParameterValue"),
        ("a", {"VisibilityTimeout": "-1"}, "InvalidAttributeValue"),
        ("a", {"Nonsense": "1"}, "InvalidAttributeName"),
        ("a", {"Policy": "{"}, "InvalidAttributeValue"),
        ("a", {"RedrivePolicy": "{}"}, "InvalidParameterValue"),
        (
            "a",
            {"RedriveAllowPolicy": '{"redrivePermission": "byQueue", "sourceQueueArns": 5}'},
            "InvalidAttributeValue",
        ),
    ],
)
def test_what_no_queue_can_be_is_refused(server: Server, name: str, attributes: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError) as failure:
        server.client("sqs").create_queue(QueueName=name, Attributes=attributes)
    assert code_of(failure) == code


def test_permissions_are_statements_of_the_policy(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    sqs.add_permission(QueueUrl=url, Label="send", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
    assert policy["Statement"] == [
        {
            "Sid": "send",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "SQS:SendMessage",
            "Resource": arn_of(sqs, url),
        }
    ]
    sqs.remove_permission(QueueUrl=url, Label="send")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])


def test_a_policy_that_denies_is_heeded(server: Server) -> None:
    key, secret = server.root_key
    root = server.client("sqs", aws_access_key_id=key, aws_secret_access_key=secret)
    url = new(root)
    denies = {"Effect": "Deny", "Principal": {"AWS": server.role}, "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denies]})
    root.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        server.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    root.send_message(QueueUrl=url, MessageBody="x")


def test_dead_letter_queues_know_their_sources(server: Server) -> None:
    sqs = server.client("sqs")
    dead = new(sqs)
    redrive = json.dumps({"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": 3})
    source = new(sqs, RedrivePolicy=redrive)
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [source]
    with pytest.raises(ClientError, match="Dead letter target does not exist"):
        new(sqs, RedrivePolicy=redrive.replace(":q-", ":no-"))
    with pytest.raises(ClientError, match="must be same type"):
        new(sqs, ".fifo", RedrivePolicy=redrive)


def test_a_queue_is_not_its_own_dead_letter_queue(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    policy = json.dumps({"deadLetterTargetArn": arn_of(sqs, url), "maxReceiveCount": 1})
    with pytest.raises(ClientError) as refused:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})
    assert code_of(refused) == "InvalidParameterValue"

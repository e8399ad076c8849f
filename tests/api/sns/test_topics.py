"""Topics through boto3: create, attributes, tags, permissions, subscriptions, what is refused."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sqs.test_queues import arn_of, new
from tests.conftest import Server


def topic_of(sns: Any, suffix: str = "", **options: Any) -> str:
    """The ARN of a new topic."""
    found: str = sns.create_topic(Name=f"t-{uuid.uuid4().hex}{suffix}", **options)["TopicArn"]
    return found


def test_a_topic_is_made_described_and_deleted(server: Server) -> None:
    sns = server.client("sns")
    name = f"life-{uuid.uuid4().hex}"
    arn = sns.create_topic(Name=name, Tags=[{"Key": "team", "Value": "ml"}])["TopicArn"]
    assert arn == f"arn:aws:sns:us-east-1:000000000000:{name}"
    assert sns.create_topic(Name=name)["TopicArn"] == arn
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="Life")
    found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (found["DisplayName"], found["Owner"], found["SubscriptionsConfirmed"]) == ("Life", "000000000000", "0")
    assert json.loads(found["Policy"])["Id"] == "__default_policy_ID"
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]
    pages = sns.get_paginator("list_topics").paginate()
    assert arn in [each["TopicArn"] for page in pages for each in page["Topics"]]
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_topic_attributes(TopicArn=arn)


def test_permissions_are_statements_of_the_policy(server: Server) -> None:
    sns = server.client("sns")
    arn = topic_of(sns)
    sns.add_permission(TopicArn=arn, Label="send", AWSAccountId=["111111111111"], ActionName=["Publish"])
    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["send"]
    sns.remove_permission(TopicArn=arn, Label="send")
    assert "__default" in sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]


def test_a_queue_is_subscribed_listed_and_unsubscribed(server: Server) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    topic, queue = topic_of(sns), arn_of(sqs, new(sqs))
    there = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    assert there.startswith(f"{topic}:")
    assert sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"] == there
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (listed["SubscriptionArn"], listed["Endpoint"], listed["Protocol"]) == (there, queue, "sqs")
    sns.set_subscription_attributes(SubscriptionArn=there, AttributeName="FilterPolicy", AttributeValue='{"a": ["b"]}')
    found = sns.get_subscription_attributes(SubscriptionArn=there)["Attributes"]
    assert (found["FilterPolicy"], found["PendingConfirmation"]) == ('{"a": ["b"]}', "false")
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"] == "1"
    sns.unsubscribe(SubscriptionArn=there)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


@pytest.mark.parametrize(
    ("protocol", "endpoint", "words"),
    [
        ("email", "a@example.com", "not to email"),
        ("sms", "+15555550100", "not to sms"),
        ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", "not to lambda"),
        ("sqs", "nonsense", "SQS endpoint ARN"),
        ("sqs", "arn:aws:sqs:us-east-1:000000000000:q.fifo", "FIFO"),
        ("http", "https://example.com", "must match"),
        ("http", "http://127.0.0.1:99999/", "must match"),
        ("http", "http://[::1/", "must match"),
        ("http", "http://127.0.0.1:1/a b\r\nx: y", "must match"),
        ("smoke", "signal", "does not support"),
    ],
)
def test_who_cannot_be_subscribed_is_refused_in_words(server: Server, protocol: str, endpoint: str, words: str) -> None:
    sns = server.client("sns")
    with pytest.raises(sns.exceptions.InvalidParameterException, match=words):
        sns.subscribe(TopicArn=topic_of(sns), Protocol=protocol, Endpoint=endpoint)


@pytest.mark.parametrize(
    "options",
    [
        {"Message": ""},
        {"Message": "x" * 262_145},
        {"Message": "x", "Subject": "two\nlines"},
        {"Message": "no json", "MessageStructure": "json"},
        {"Message": '{"sqs": "x"}', "MessageStructure": "json"},
        {"Message": "x", "MessageDeduplicationId": "d"},
    ],
)
def test_what_cannot_be_published_is_refused(server: Server, options: dict[str, str]) -> None:
    sns = server.client("sns")
    with pytest.raises(sns.exceptions.InvalidParameterException):
        sns.publish(TopicArn=topic_of(sns), **options)


def test_text_messages_are_refused_in_words(server: Server) -> None:
    with pytest.raises(ClientError, match="sends no text messages"):
        server.client("sns").publish(PhoneNumber="+15555550100", Message="x")


def test_the_commands_people_type(server: Server) -> None:
    aws = str(Path(sys.executable).with_name("aws"))
    made = server.run(aws, "sns", "create-topic", "--name", f"cli-{uuid.uuid4().hex}")
    assert made.returncode == 0, made.stderr
    topic = json.loads(made.stdout)["TopicArn"]
    sent = server.run(aws, "sns", "publish", "--topic-arn", topic, "--message", "hello")
    assert "MessageId" in sent.stdout, sent.stderr

"""What is published arrives: in queues and at HTTP endpoints, filtered, in order, retried, buried."""

from __future__ import annotations

import json
import queue
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.api.s3.test_notifications import Listening
from tests.api.sns.test_topics import topic_of
from tests.api.sqs.test_messages import receive
from tests.api.sqs.test_queues import arn_of, new
from tests.conftest import Server

SECONDS = 60


def allow_topics(sqs: Any, url: str) -> str:
    """Lets every topic of the account send to the queue; returns its ARN."""
    arn = arn_of(sqs, url)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:000000000000:*"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return arn


class Subscribed:
    """A topic and a queue that is subscribed to it."""

    def __init__(self, server: Server, suffix: str = "", **attributes: str) -> None:
        self.sns, self.sqs = server.client("sns"), server.client("sqs")
        options = {"Attributes": {"FifoTopic": "true", "ContentBasedDeduplication": "true"}} if suffix else {}
        self.topic = topic_of(self.sns, suffix, **options)
        self.url = new(self.sqs, suffix)
        self.subscription = self.sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=allow_topics(self.sqs, self.url),
            Attributes=attributes,
        )["SubscriptionArn"]

    def publish(self, message: str, **options: Any) -> str:
        found: str = self.sns.publish(TopicArn=self.topic, Message=message, **options)["MessageId"]
        return found

    def next(self) -> dict[str, Any]:
        (message,) = receive(self.sqs, self.url, MaxNumberOfMessages=1)
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return message


def test_the_message_is_that_of_the_developer_guide(server: Server) -> None:
    subscribed = Subscribed(server)
    attributes = {
        "colour": {"DataType": "String", "StringValue": "grün"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    identity = subscribed.publish("hello ✓", Subject="A subject", MessageAttributes=attributes)
    message = subscribed.next()
    assert message["Body"].startswith('{\n  "Type" : "Notification",\n  "MessageId" : "')
    found = json.loads(message["Body"])
    assert found["Timestamp"].endswith("Z")
    assert subscribed.subscription.rpartition(":")[2] in found["UnsubscribeURL"]
    assert {name: found[name] for name in found if name not in ("Timestamp", "UnsubscribeURL")} == {
        "Type": "Notification",
        "MessageId": identity,
        "TopicArn": subscribed.topic,
        "Subject": "A subject",
        "Message": "hello ✓",
        "MessageAttributes": {
            "colour": {"Type": "String", "Value": "grün"},
            "bytes": {"Type": "Binary", "Value": "AP8="},
        },
    }


def test_raw_messages_keep_their_attributes(server: Server) -> None:
    subscribed = Subscribed(server, RawMessageDelivery="true")
    attributes = {"n": {"DataType": "Number", "StringValue": "7"}}
    subscribed.publish("just this", MessageAttributes=attributes)
    message = subscribed.next()
    assert (message["Body"], message["MessageAttributes"]) == ("just this", attributes)


def test_filters_choose_and_structures_tell_protocols_apart(server: Server) -> None:
    subscribed = Subscribed(server, RawMessageDelivery="true", FilterPolicy='{"kind": ["wanted"]}')
    for kind in ("other", "wanted"):
        texts = json.dumps({"default": "for all", "sqs": f"for queues, {kind}"})
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        subscribed.publish(texts, MessageStructure="json", MessageAttributes=attributes)
    assert subscribed.next()["Body"] == "for queues, wanted"
    sns = subscribed.sns
    for name, value in (("FilterPolicyScope", "MessageBody"), ("FilterPolicy", '{"job": {"status": ["done"]}}')):
        sns.set_subscription_attributes(
            SubscriptionArn=subscribed.subscription, AttributeName=name, AttributeValue=value
        )
    subscribed.publish('{"job": {"status": "failed"}}')
    subscribed.publish('{"job": {"status": "done"}}')
    assert subscribed.next()["Body"] == '{"job": {"status": "done"}}'


def test_a_batch_answers_each_entry(server: Server) -> None:
    subscribed = Subscribed(server, RawMessageDelivery="true")
    entries = [{"Id": "good", "Message": "x"}, {"Id": "bad", "Message": "x", "Subject": "\n"}]
    done = subscribed.sns.publish_batch(TopicArn=subscribed.topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in done["Successful"]] == ["good"]
    assert [(each["Id"], each["Code"]) for each in done["Failed"]] == [("bad", "InvalidParameter")]
    assert subscribed.next()["Body"] == "x"


def test_a_fifo_topic_keeps_the_order_and_takes_a_message_once(server: Server) -> None:
    subscribed = Subscribed(server, ".fifo", RawMessageDelivery="true")
    sent = [subscribed.publish(f"m{number}", MessageGroupId="g") for number in range(8)]
    assert subscribed.publish("m7", MessageGroupId="g") == sent[-1]
    assert [subscribed.next()["Body"] for _ in range(8)] == [f"m{number}" for number in range(8)]


def test_what_a_queue_refuses_goes_to_the_dead_letter_queue(server: Server) -> None:
    subscribed = Subscribed(server, RawMessageDelivery="true")
    dead = new(subscribed.sqs)
    redrive = json.dumps({"deadLetterTargetArn": allow_topics(subscribed.sqs, dead)})
    subscribed.sns.set_subscription_attributes(
        SubscriptionArn=subscribed.subscription, AttributeName="RedrivePolicy", AttributeValue=redrive
    )
    subscribed.sqs.set_queue_attributes(QueueUrl=subscribed.url, Attributes={"Policy": ""})
    subscribed.publish("unwelcome")
    (message,) = receive(subscribed.sqs, dead)
    assert message["Body"] == "unwelcome"
    assert "AccessDenied" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]


def test_events_of_a_bucket_reach_a_topic(server: Server) -> None:
    listening, subscribed = Listening(server), Subscribed(server)
    rule = {"TopicArn": subscribed.topic, "Events": ["s3:ObjectCreated:*"]}
    with pytest.raises(listening.s3.exceptions.ClientError, match="Unable to validate"):
        listening.put({"TopicConfigurations": [rule]})
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": subscribed.topic,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{listening.bucket}"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    subscribed.sns.set_topic_attributes(TopicArn=subscribed.topic, AttributeName="Policy", AttributeValue=policy)
    listening.put({"TopicConfigurations": [rule]})
    listening.s3.put_object(Bucket=listening.bucket, Key="told", Body=b"x")
    test, event = (json.loads(subscribed.next()["Body"]) for _ in range(2))
    assert (test["Subject"], json.loads(test["Message"])["Event"]) == ("Amazon S3 Notification", "s3:TestEvent")
    assert json.loads(event["Message"])["Records"][0]["s3"]["object"]["key"] == "told"


class Endpoint:
    """A web server that notes what it gets and answers what it is told to."""

    def __init__(self, tls: Path | None = None) -> None:
        self.got: queue.Queue[tuple[dict[str, str], str]] = queue.Queue()
        self.answers: list[int] = []
        self.talks = threading.Event()
        self.talks.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                endpoint.got.put(({name.lower(): value for name, value in self.headers.items()}, body))
                endpoint.talks.wait(SECONDS)
                self.send_response(endpoint.answers.pop(0) if endpoint.answers else 200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.pem", tls / "server.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/hook?a=b"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def next(self) -> tuple[dict[str, str], str]:
        return self.got.get(timeout=SECONDS)

    def close(self) -> None:
        self.talks.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.close()


def subscribe(server: Server, endpoint: Endpoint, **attributes: str) -> tuple[str, dict[str, Any]]:
    """A topic that the endpoint is asked to subscribe to, and what it was asked with."""
    sns = server.client("sns")
    topic = topic_of(sns)
    protocol = endpoint.url.partition(":")[0]
    answer = sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint.url, Attributes=attributes)
    assert answer["SubscriptionArn"] == "pending confirmation"
    headers, body = endpoint.next()
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    asked: dict[str, Any] = json.loads(body)
    return topic, asked


def test_a_web_endpoint_confirms_by_visiting_the_link(server: Server, endpoint: Endpoint) -> None:
    sns = server.client("sns")
    topic, asked = subscribe(server, endpoint)
    assert (asked["Type"], asked["TopicArn"]) == ("SubscriptionConfirmation", topic)
    sns.publish(TopicArn=topic, Message="too early")
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    with urllib.request.urlopen(asked["SubscribeURL"], timeout=SECONDS) as answer:
        assert b"<SubscriptionArn>" in answer.read()
    sns.publish(TopicArn=topic, Message="hello", Subject="Hi")
    headers, body = endpoint.next()
    found = json.loads(body)
    assert (found["Message"], headers["x-amz-sns-message-type"]) == ("hello", "Notification")
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["x-amz-sns-topic-arn"] == topic
    with urllib.request.urlopen(found["UnsubscribeURL"], timeout=SECONDS):
        assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_endpoints_that_hang_do_not_delay_queues(server: Server, endpoint: Endpoint) -> None:
    sns, subscribed = server.client("sns"), Subscribed(server)
    topic, asked = subscribe(server, endpoint, DeliveryPolicy=json.dumps({"healthyRetryPolicy": {"numRetries": 0}}))
    sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
    endpoint.talks.clear()
    for _ in range(4):
        entries = [{"Id": str(number), "Message": "into the void"} for number in range(10)]
        assert len(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]) == 10
    endpoint.next()
    began = time.monotonic()
    subscribed.publish("past them")
    assert json.loads(subscribed.next()["Body"])["Message"] == "past them"
    assert time.monotonic() - began < 12  # after 15 seconds the first of those who wait for the endpoint give up


def test_a_web_endpoint_is_tried_again(server: Server, endpoint: Endpoint) -> None:
    sns, sqs = server.client("sns"), server.client("sqs")
    retry = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 2, "numNoDelayRetries": 2}
    dead = new(sqs)
    topic, asked = subscribe(
        server,
        endpoint,
        RawMessageDelivery="true",
        DeliveryPolicy=json.dumps({"healthyRetryPolicy": retry}),
        RedrivePolicy=json.dumps({"deadLetterTargetArn": allow_topics(sqs, dead)}),
    )
    sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
    endpoint.answers += [500, 503, 200]
    sns.publish(TopicArn=topic, Message="patience")
    assert [endpoint.next()[1] for _ in range(3)] == ["patience"] * 3
    endpoint.answers += [500, 500, 500, 404]
    sns.publish(TopicArn=topic, Message="in vain")
    assert [endpoint.next()[1] for _ in range(3)] == ["in vain"] * 3
    assert receive(sqs, dead)[0]["Body"] == "in vain"
    sns.publish(TopicArn=topic, Message="not found")
    assert endpoint.next()[0]["x-amz-sns-rawdelivery"] == "true"
    assert receive(sqs, dead)[0]["Body"] == "not found"


def test_a_wrong_token_confirms_nothing(server: Server, endpoint: Endpoint) -> None:
    sns = server.client("sns")
    topic, _ = subscribe(server, endpoint)
    with pytest.raises(sns.exceptions.InvalidParameterException):
        sns.confirm_subscription(TopicArn=topic, Token="00" * 120)


def test_no_token_confirms_nothing(server: Server) -> None:
    """A queue of one's own has no token; whoever knows the topic must not learn its subscription and end it."""
    subscribed = Subscribed(server)
    query = urllib.parse.urlencode(
        {"Action": "ConfirmSubscription", "Version": "2010-03-31", "TopicArn": subscribed.topic, "Token": ""}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.url}/?{query}", timeout=SECONDS)
    with refused.value as answer:
        assert (answer.code, subscribed.subscription in answer.read().decode()) == (400, False)


def test_an_endpoint_may_speak_tls(server: Server) -> None:
    endpoint = Endpoint(server.data / "tls")
    try:
        _, asked = subscribe(server, endpoint)
        assert asked["Type"] == "SubscriptionConfirmation"
    finally:
        endpoint.close()

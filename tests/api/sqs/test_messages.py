"""Messages through boto3: sent, received, hidden, deleted, redriven, in order."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.sqs.test_queues import arn_of, code_of, new
from tests.conftest import Server


def receive(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    """What one call receives, all attributes with it; waits up to 20 seconds for the first."""
    options = {"WaitTimeSeconds": 20, "MaxNumberOfMessages": 10, **options}
    found: list[dict[str, Any]] = sqs.receive_message(
        QueueUrl=url, MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"], **options
    ).get("Messages", [])
    return found


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


def test_a_message_with_attributes_comes_back_as_it_was_sent(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    attributes = {
        "text": {"DataType": "String", "StringValue": "grün"},
        "number": {"DataType": "Number.float", "StringValue": "1.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello ✓", MessageAttributes=attributes)
    (message,) = receive(sqs, url)
    assert message["Body"] == "hello ✓"
    assert message["MessageAttributes"] == attributes
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]  # boto3 checks MD5OfBody itself
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 60
    assert message["Attributes"]["SenderId"].endswith(":wildsage") or ":" in message["Attributes"]["SenderId"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_the_digest_of_attributes_is_that_of_the_developer_guide(server: Server) -> None:
    sqs = server.client("sqs")
    attribute = {"test": {"DataType": "String", "StringValue": "value"}}
    sent = sqs.send_message(QueueUrl=new(sqs), MessageBody="This is a test message", MessageAttributes=attribute)
    assert sent["MD5OfMessageBody"] == "fafb00f5732ab283681e124bf8747ed1"


def test_batches_answer_each_entry(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    entries = [{"Id": str(number), "MessageBody": f"m{number}"} for number in range(9)]
    done = sqs.send_message_batch(QueueUrl=url, Entries=[*entries, {"Id": "bad", "MessageBody": "\x00"}])
    assert [each["Id"] for each in done["Successful"]] == [each["Id"] for each in entries]
    assert done["Failed"][0]["Code"] == "InvalidMessageContents"
    found = receive(sqs, url)
    assert sorted(bodies(found)) == [f"m{number}" for number in range(9)]
    handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)]
    visible = [{**each, "VisibilityTimeout": 0} for each in handles]
    assert len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=visible)["Successful"]) == 9
    assert len(receive(sqs, url)) == 9
    gone = sqs.delete_message_batch(QueueUrl=url, Entries=[*handles, {"Id": "x", "ReceiptHandle": "nonsense"}])
    assert len(gone["Successful"]) == 9
    assert gone["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    with pytest.raises(ClientError) as failure:
        sqs.send_message_batch(QueueUrl=url, Entries=[entries[0], entries[0]])
    assert code_of(failure) == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"


def test_a_long_poll_wakes_at_once(server: Server) -> None:
    sqs, other = server.client("sqs"), server.client("sqs")
    url = new(sqs)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receive, other, url)
        with pytest.raises(TimeoutError):
            waiting.result(1.0)
        sent = time.monotonic()
        sqs.send_message(QueueUrl=url, MessageBody="now")
        assert bodies(waiting.result(60)) == ["now"]
        assert time.monotonic() - sent < 10  # long before its twenty seconds are over


def test_a_long_poll_sees_a_message_come_back_and_a_delayed_one(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=2)
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    (message,) = receive(sqs, url, VisibilityTimeout=2)
    (again,) = receive(sqs, url)
    assert again["MessageId"] == message["MessageId"]
    assert again["ReceiptHandle"] != message["ReceiptHandle"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    with pytest.raises(ClientError) as failure:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=1)
    assert code_of(failure) == "AWS.SimpleQueueService.MessageNotInflight"
    sqs.purge_queue(QueueUrl=url)
    assert receive(sqs, url, WaitTimeSeconds=0) == []


def test_every_message_is_received_by_one_of_many(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    seen: list[str] = []
    lock = threading.Lock()

    def work(_: int) -> None:
        client = server.client("sqs")
        while found := receive(client, url, WaitTimeSeconds=1):
            with lock:
                seen.extend(bodies(found))
            for each in found:
                client.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])

    for start in range(0, 60, 10):
        entries = [{"Id": str(n), "MessageBody": str(start + n)} for n in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(map(int, seen)) == list(range(60))


def test_a_message_received_too_often_goes_to_the_dead_letter_queue(server: Server) -> None:
    sqs = server.client("sqs")
    dead = new(sqs)
    redrive = {"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": "2"}
    url = new(sqs, RedrivePolicy=json.dumps(redrive), VisibilityTimeout="0")
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    for count in ("1", "2"):
        (message,) = receive(sqs, url)
        assert message["Attributes"]["ApproximateReceiveCount"] == count
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    (buried,) = receive(sqs, dead)
    assert buried["MessageId"] == sent["MessageId"]
    assert buried["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(sqs, url)


def test_a_fifo_queue_keeps_the_order_of_each_group(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs, ".fifo", ContentBasedDeduplication="true")
    for number in range(4):
        for group in "ab":
            sqs.send_message(QueueUrl=url, MessageBody=f"{group}{number}", MessageGroupId=group)
    first = receive(sqs, url, MaxNumberOfMessages=1)
    assert bodies(first) == ["a0"]
    # The rest of group a waits for a0, group b does not.
    others = receive(sqs, url)
    assert bodies(others) == ["b0", "b1", "b2", "b3"]
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
    rest = receive(sqs, url)
    assert bodies(rest) == ["a1", "a2", "a3"]
    numbers = [int(each["Attributes"]["SequenceNumber"]) for each in rest]
    assert numbers == sorted(numbers)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=rest[0]["ReceiptHandle"], VisibilityTimeout=0)
    assert receive(sqs, url, WaitTimeSeconds=0) == []  # two of the group are still out


def test_a_fifo_queue_takes_a_message_once(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs, ".fifo")
    once = {"QueueUrl": url, "MessageGroupId": "g", "MessageDeduplicationId": "token"}
    one = sqs.send_message(**once, MessageBody="first")
    two = sqs.send_message(**once, MessageBody="second")
    assert (one["MessageId"], one["SequenceNumber"]) == (two["MessageId"], two["SequenceNumber"])
    assert bodies(receive(sqs, url)) == ["first"]
    with pytest.raises(ClientError, match="MessageGroupId"):
        sqs.send_message(QueueUrl=url, MessageBody="x", MessageDeduplicationId="y")
    with pytest.raises(ClientError, match="ContentBasedDeduplication"):
        sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="y")
    with pytest.raises(ClientError, match="DelaySeconds"):
        sqs.send_message(**once, MessageBody="x", DelaySeconds=1)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"MessageBody": "x" * 1025}, "InvalidParameterValue"),
        ({"MessageBody": "x", "DelaySeconds": 901}, "InvalidParameterValue"),
        ({"MessageBody": "x", "MessageDeduplicationId": "d"}, "InvalidParameterValue"),
        ({"MessageBody": "\ufffe"}, "InvalidMessageContents"),
        (
            {"MessageBody": "x", "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String"}}},
            "InvalidParameterValue",
        ),
        (
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Odd", "StringValue": "1"}}},
            "InvalidParameterValue",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(server: Server, options: dict[str, Any], code: str) -> None:
    sqs = server.client("sqs")
    with pytest.raises(ClientError) as failure:
        sqs.send_message(QueueUrl=new(sqs, MaximumMessageSize="1024"), **options)
    assert code_of(failure) == code


def test_a_handle_that_is_none_is_refused(server: Server) -> None:
    sqs = server.client("sqs")
    url = new(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = receive(sqs, url)
    queue, _, nonce = base64.b64decode(message["ReceiptHandle"]).decode().split(" ")
    for text in ("a", f"{queue} {10**25} {nonce}", f"other 1 {nonce}"):
        handle = base64.b64encode(text.encode()).decode()
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

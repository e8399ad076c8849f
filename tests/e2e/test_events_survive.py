"""kill -9 of the control process: whatever was acknowledged is told, events of objects and messages of topics."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.api.s3.test_notifications import Listening
from tests.api.sns.test_delivery import Endpoint, subscribe
from tests.conftest import Server, start_server
from tests.e2e.killing import gone
from tests.waiting import wait_until

KILLS = 3
SECONDS = 90.0


class Writer(threading.Thread):
    """Writes objects for as long as it is let; ``kept`` are the keys that were acknowledged."""

    def __init__(self, server: Server, bucket: str) -> None:
        super().__init__()
        self._s3 = server.client("s3")
        self._bucket = bucket
        self.kept: set[str] = set()
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            key = f"key {number}"
            number += 1
            try:
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=b"x")
            except (BotoCoreError, ClientError):
                time.sleep(0.05)  # it was killed meanwhile: the object may be there or not
            else:
                self.kept.add(key)


def kill_control(server: Server) -> None:
    """Kills it, and waits for the next one."""

    def running() -> int | None:
        pid: int | None = server.status["processes"].get("control")
        return None if pid is None or gone(pid) else pid

    pid: int = wait_until(running, 60)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running() not in (None, pid), 60)


def keys_told(listening: Listening, wanted: set[str]) -> set[str]:
    """The keys of events, until all that are wanted were told; an event may come twice."""
    told: set[str] = set()
    end = time.monotonic() + SECONDS
    while not told >= wanted and time.monotonic() < end:
        for message in received(listening):
            for record in json.loads(message["Body"]).get("Records", ()):
                told.add(record["s3"]["object"]["key"].replace("+", " "))
            listening.sqs.delete_message(QueueUrl=listening.url, ReceiptHandle=message["ReceiptHandle"])
    return told


def received(listening: Listening) -> list[dict[str, Any]]:
    try:
        answer = listening.sqs.receive_message(QueueUrl=listening.url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
    except (BotoCoreError, ClientError):
        time.sleep(0.2)  # control is not there yet
        return []
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def test_no_event_is_lost(short_directory: Path) -> None:
    dice = random.Random(5)
    server = start_server(short_directory / "events")
    try:
        listening = Listening(server)
        listening.configure("s3:ObjectCreated:*")
        writer = Writer(server, listening.bucket)
        writer.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.2, 1.0))
            kill_control(server)
        time.sleep(0.2)
        writer.over.set()
        writer.join()
        assert writer.kept
        assert keys_told(listening, writer.kept) >= writer.kept
    finally:
        server.stop()


def test_an_event_waits_until_its_queue_takes_it(short_directory: Path) -> None:
    server = start_server(short_directory / "waiting")
    try:
        listening = Listening(server)
        listening.allow(source="another-bucket")
        rule = {"QueueArn": listening.arn, "Events": ["s3:ObjectCreated:*"]}
        listening.put({"QueueConfigurations": [rule]}, SkipDestinationValidation=True)
        listening.s3.put_object(Bucket=listening.bucket, Key="patient", Body=b"")
        kill_control(server)
        wait_until(lambda: server.status.get("processes", {}).get("control"), 60)
        wait_until(lambda: _allowed(listening), 60)
        assert keys_told(listening, {"patient"}) == {"patient"}
    finally:
        server.stop()


def _allowed(listening: Listening) -> bool:
    try:
        listening.allow()
    except (BotoCoreError, ClientError):
        return False
    return True


def test_a_published_message_waits_for_its_endpoint(short_directory: Path) -> None:
    server = start_server(short_directory / "published")
    endpoint = Endpoint()
    try:
        retry = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 100}
        policy = json.dumps({"healthyRetryPolicy": retry})
        topic, asked = subscribe(server, endpoint, RawMessageDelivery="true", DeliveryPolicy=policy)
        sns = server.client("sns")
        sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
        endpoint.answers += [500] * 2
        sns.publish(TopicArn=topic, Message="in the end")
        assert endpoint.next()[1] == "in the end"
        kill_control(server)
        assert [endpoint.next()[1] for _ in range(2)] == ["in the end"] * 2
    finally:
        endpoint.close()
        server.stop()

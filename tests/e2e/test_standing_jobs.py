"""A row that no job can read: the job is told in the log and begins again, and the process serves as before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.api.sns.test_delivery import Subscribed
from tests.api.sqs.test_messages import receive
from tests.conftest import Server, start_server
from tests.waiting import wait_until


@pytest.fixture
def server(short_directory: Path) -> Iterator[Server]:
    found = start_server(short_directory / "standing")
    yield found
    found.stop()


def test_a_damaged_letter_holds_up_its_box_and_nothing_else(server: Server) -> None:
    subscribed = Subscribed(server, RawMessageDelivery="true")
    subscribed.publish("before")
    assert subscribed.next()["Body"] == "before"
    control = server.status["processes"]["control"]
    log = server.data / "logs" / "control.log"
    with closing(sqlite3.connect(server.data / "wildsage.db", timeout=60, isolation_level=None)) as database:
        database.execute("INSERT INTO outbox (box, lane, document, attempts, due) VALUES ('sns', '', 'damaged', 0, 0)")
        subscribed.publish("after")
        wait_until(lambda: "the delivery of SNS messages ended, which is a bug" in log.read_text())
        server.client("s3").create_bucket(Bucket="goes-on")
        database.execute("DELETE FROM outbox WHERE document = 'damaged'")
    # The longer it took to get here, the longer the job pauses.
    (message,) = wait_until(lambda: receive(subscribed.sqs, subscribed.url))
    assert message["Body"] == "after"
    assert server.status["processes"]["control"] == control

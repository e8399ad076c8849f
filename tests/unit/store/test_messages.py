"""Messages of queues."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wildsage.store.database import Database
from wildsage.store.messages import Message, Messages, Receiving, Sending


async def test_a_queue_that_buries_in_itself_is_received_from_as_if_it_did_not(tmp_path: Path) -> None:
    """The writer would never come to an end, and with it no other write."""
    database = await Database.open(tmp_path / "wildsage.db")
    try:
        messages = Messages(database)
        await messages.send([Sending(Message("q", "id", 0.0, 0.0, {"Body": "x"}))])
        wanted = Receiving("q", 10, 1.0, 1.0, -1.0, False, lambda: "nonce", most=1, dead="q", origin="arn")
        for _ in range(3):
            received = await asyncio.wait_for(messages.receive(wanted), 60)
            assert [message.id for message in received.messages] == ["id"]
    finally:
        await database.close()

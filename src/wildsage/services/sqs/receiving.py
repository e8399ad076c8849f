"""ReceiveMessage, and what may be done with a message that was received."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sqs import attributes, batches, contents, names, queues
from wildsage.services.sqs.names import Receipt
from wildsage.services.sqs.sending import sequence_number
from wildsage.store.codec import Document
from wildsage.store.messages import Message, Messages, Received, Receiving
from wildsage.store.resources import Resource

_MOST = 10
_LONGEST_WAIT = 20
_LONGEST_VISIBILITY = 43_200


@operation("ReceiveMessage")
async def receive_message(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""
    queue = await queues.fetch(ctx, request)
    limit = _number(request, "MaxNumberOfMessages", 1, 1, _MOST)
    kept = queues.kept(queue)
    wait = _number(
        request, "WaitTimeSeconds", attributes.number(kept, "ReceiveMessageWaitTimeSeconds"), 0, _LONGEST_WAIT
    )
    hidden = _number(request, "VisibilityTimeout", attributes.number(kept, "VisibilityTimeout"), 0, _LONGEST_VISIBILITY)
    received = await _wait_for(ctx, queue, limit, hidden, wait)
    if not received:
        return {}
    return {"Messages": [_told(queue, message, request) for message in received]}


def _number(request: Document, name: str, default: int, least: int, most: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if not least <= value <= most:
        raise names.out_of_range(name, value, f"Must be between {least} and {most}, if provided.")
    return int(value)


async def _wait_for(ctx: Context, queue: Resource, limit: int, hidden: int, wait: int) -> list[Message]:
    """What there is to receive, waiting up to ``wait`` seconds for the first, or until nobody is there to get it."""
    platform = ctx.platform
    clock, hints = platform.clock, platform.hints
    end = clock.monotonic() + wait
    gone = _hang_up(ctx)
    while not gone.done():
        # Listening starts before the look at the table, so that a message in between is not missed.
        hint = asyncio.ensure_future(hints.wait(queues.topic(queue.uid)))
        try:
            received = await _receive(ctx, queue, limit, hidden)
            left = end - clock.monotonic()
            if received.messages or left <= 0:
                return received.messages
            if received.following is not None:
                left = min(left, max(received.following - clock.now(), 0.0))
            alarm = asyncio.ensure_future(clock.sleep(left))
            ends: set[asyncio.Future[Any]] = {hint, alarm, gone}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            alarm.cancel()
        finally:
            hint.cancel()
    return []


def _hang_up(ctx: Context) -> asyncio.Future[None]:
    """Done when the client has hung up: what it would receive would be out of everyone's sight for nothing."""
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def leave() -> None:
        if not gone.done():
            gone.set_result(None)

    if ctx.request is not None:
        ctx.request.on_gone = leave
    return gone


async def _receive(ctx: Context, queue: Resource, limit: int, hidden: int) -> Received:
    redrive = attributes.redrive_of(queues.kept(queue))
    dead = None if redrive is None else await queues.find(ctx, redrive.target)
    now = ctx.platform.clock.now()
    received = await Messages(ctx.platform.database).receive(
        Receiving(
            queue=queue.uid,
            limit=limit,
            now=now,
            visible=now + hidden,
            oldest=queues.oldest(queue, now),
            ordered=queues.is_ordered(queue),
            nonce=lambda: secrets.token_hex(8),
            most=None if redrive is None or dead is None else redrive.most,
            dead="" if dead is None else dead.uid,
            origin=queues.arn_of(queue),
        )
    )
    if received.moved and dead is not None:
        ctx.platform.hints.notify(queues.topic(dead.uid))
    return received


def _told(queue: Resource, message: Message, request: Document) -> Document:
    document = message.document
    told: Document = {
        "MessageId": message.id,
        "ReceiptHandle": names.handle(Receipt(queue.uid, message.number, message.nonce)),
        "MD5OfBody": contents.md5(document["Body"]),
        "Body": document["Body"],
    }
    wanted = {*(request.get("AttributeNames") or ()), *(request.get("MessageSystemAttributeNames") or ())}
    system = _system(queue, message)
    chosen = {name: value for name, value in system.items() if "All" in wanted or name in wanted}
    if chosen:
        told["Attributes"] = chosen
    given = contents.chosen(document.get("MessageAttributes") or {}, request.get("MessageAttributeNames") or ())
    if given:
        told["MessageAttributes"] = given
        told["MD5OfMessageAttributes"] = contents.attributes_md5(given)
    return told


def _system(queue: Resource, message: Message) -> Mapping[str, str]:
    """API reference, ReceiveMessage, MessageSystemAttributeNames."""
    document = message.document
    told = {
        "SenderId": document["SenderId"],
        "SentTimestamp": str(round(message.sent * 1000)),
        "ApproximateReceiveCount": str(message.received),
        "ApproximateFirstReceiveTimestamp": str(round((message.first or 0.0) * 1000)),
    }
    for name in ("MessageGroupId", "MessageDeduplicationId"):
        if name in document:
            told[name] = document[name]
    if queues.is_ordered(queue):
        told["SequenceNumber"] = sequence_number(message)
    if "Origin" in document:
        told["DeadLetterQueueSourceArn"] = document["Origin"]
    for name, value in (document.get("MessageSystemAttributes") or {}).items():
        told[name] = value["StringValue"]
    return told


@operation("DeleteMessage")
async def delete_message(ctx: Context, request: Document) -> Document:
    await _delete(ctx, await queues.fetch(ctx, request), request)
    return {}


@operation("DeleteMessageBatch")
async def delete_message_batch(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    return await batches.each(batches.entries_of(request), lambda entry: _delete(ctx, queue, entry))


async def _delete(ctx: Context, queue: Resource, request: Document) -> None:
    """Deleting what is gone is no error. In a FIFO queue a receipt holds only while the message is out."""
    text = names.text_of(request, "ReceiptHandle")
    receipt = names.receipt_of(text, queue.uid)
    store = Messages(ctx.platform.database)
    if queues.is_ordered(queue):
        message = await store.find(queue.uid, receipt.number)
        if message is not None and (message.nonce != receipt.nonce or message.visible <= ctx.now):
            raise names.expired_receipt(text)
        gone = await store.delete(queue.uid, receipt.number, receipt.nonce)
    else:
        gone = await store.delete(queue.uid, receipt.number, None)
    if gone:
        ctx.platform.hints.notify(queues.topic(queue.uid))  # the rest of its group may follow


@operation("ChangeMessageVisibility")
async def change_message_visibility(ctx: Context, request: Document) -> Document:
    await _change(ctx, await queues.fetch(ctx, request), request)
    return {}


@operation("ChangeMessageVisibilityBatch")
async def change_message_visibility_batch(ctx: Context, request: Document) -> Document:
    queue = await queues.fetch(ctx, request)
    return await batches.each(batches.entries_of(request), lambda entry: _change(ctx, queue, entry))


async def _change(ctx: Context, queue: Resource, request: Document) -> None:
    text = names.text_of(request, "ReceiptHandle")
    receipt = names.receipt_of(text, queue.uid)
    seconds = _number(request, "VisibilityTimeout", -1, 0, _LONGEST_VISIBILITY)
    if seconds < 0:
        raise names.missing("The request must contain the parameter VisibilityTimeout.")
    store = Messages(ctx.platform.database)
    changed = await store.hide(queue.uid, receipt.number, receipt.nonce, ctx.now, ctx.now + seconds)
    if changed:
        ctx.platform.hints.notify(queues.topic(queue.uid))
        return
    if await store.find(queue.uid, receipt.number) is None:
        raise names.out_of_range(
            "ReceiptHandle", text, "Message does not exist or is not available for visibility timeout change."
        )
    raise ApiError("MessageNotInflight", "The specified message isn't in flight.")

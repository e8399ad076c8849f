"""SendMessage and SendMessageBatch."""

from __future__ import annotations

import hashlib
import uuid

from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sqs import attributes, batches, contents, names, queues
from wildsage.store.codec import Document
from wildsage.store.messages import Message, Messages, Sending
from wildsage.store.resources import Resource

_DUPLICATE_SECONDS = 300.0
_MOST_DELAY = 900
_BATCH_BYTES = 1_048_576


@operation("SendMessage")
async def send_message(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
    queue = await queues.fetch(ctx, request)
    sending = _sending(ctx, queue, request)
    (sent,) = await Messages(ctx.platform.database).send([sending])
    ctx.platform.hints.notify(queues.topic(queue.uid))
    return _told(queue, sent)


@operation("SendMessageBatch")
async def send_message_batch(ctx: Context, request: Document) -> Document:
    """All entries that are in order are sent in one transaction."""
    queue = await queues.fetch(ctx, request)
    entries = batches.entries_of(request)
    answer: Document = {"Successful": [], "Failed": []}
    sendings: list[Sending] = []
    good: list[Document] = []
    size = sum(contents.size_of(each.get("MessageBody") or "", {}) for each in entries)
    if size > _BATCH_BYTES:
        raise ApiError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {_BATCH_BYTES} bytes. You have sent {size} bytes.",
        )
    for entry in entries:
        try:
            sendings.append(_sending(ctx, queue, entry))
            good.append(entry)
        except ApiError as error:
            answer["Failed"].append(batches.failed(entry, error))
    sent = await Messages(ctx.platform.database).send(sendings) if sendings else []
    ctx.platform.hints.notify(queues.topic(queue.uid))
    answer["Successful"] = [
        {"Id": entry["Id"], **_told(queue, message)} for entry, message in zip(good, sent, strict=True)
    ]
    return {name: value for name, value in answer.items() if value}


def _told(queue: Resource, sent: Message) -> Document:
    told: Document = {"MessageId": sent.id, "MD5OfMessageBody": contents.md5(sent.document["Body"])}
    for name in ("MessageAttributes", "MessageSystemAttributes"):
        if sent.document.get(name):
            told[f"MD5Of{name}"] = contents.attributes_md5(sent.document[name])
    if queues.is_ordered(queue):
        told["SequenceNumber"] = sequence_number(sent)
    return told


def sequence_number(message: Message) -> str:
    """20 digits, as AWS writes it."""
    return f"{message.number:020d}"


def _sending(ctx: Context, queue: Resource, request: Document) -> Sending:
    """The message that a request or an entry of a batch asks for; raises what is wrong with it."""
    body = request.get("MessageBody") or ""
    given = request.get("MessageAttributes") or {}
    system = request.get("MessageSystemAttributes") or {}
    contents.check_body(body)
    contents.check_attributes(given)
    contents.check_system(system)
    most = attributes.number(queues.kept(queue), "MaximumMessageSize")
    if contents.size_of(body, given) > most:
        raise names.invalid(f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes.")
    group, token = _order(queue, request, body)
    document: Document = {"Body": body, "SenderId": ctx.caller.user_id}
    for name, value in (
        ("MessageAttributes", given),
        ("MessageSystemAttributes", system),
        ("MessageGroupId", group),
        ("MessageDeduplicationId", token),
    ):
        if value:
            document[name] = value
    ordered = queues.is_ordered(queue)
    message = Message(
        queue=queue.uid,
        id=str(uuid.uuid4()),
        sent=ctx.now,
        visible=ctx.now + _delay(queue, request),
        document=document,
        group=group if ordered else None,
    )
    if token is None:
        return Sending(message)
    by_group = queues.kept(queue).get("DeduplicationScope") == "messageGroup"
    return Sending(message, f"{group} {token}" if by_group else token, ctx.now + _DUPLICATE_SECONDS)


def _order(queue: Resource, request: Document, body: str) -> tuple[str | None, str | None]:
    """Group and deduplication id."""
    group, token = request.get("MessageGroupId") or None, request.get("MessageDeduplicationId") or None
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", token)):
        if value is not None:
            contents.check_token(name, value)
    if not queues.is_ordered(queue):
        if token is not None:
            reason = "The request includes a parameter that is not valid for this queue type."
            raise names.out_of_range("MessageDeduplicationId", token, reason)
        return group, None
    if group is None:
        raise names.missing("The request must contain the parameter MessageGroupId.")
    if token is None:
        if queues.kept(queue).get("ContentBasedDeduplication", "").lower() != "true":
            raise names.invalid(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
                "explicitly"
            )
        token = hashlib.sha256(body.encode()).hexdigest()
    return group, token


def _delay(queue: Resource, request: Document) -> int:
    """Seconds before the message can be received."""
    asked = request.get("DelaySeconds")
    if asked is None or (asked == 0 and queues.is_ordered(queue)):
        return attributes.number(queues.kept(queue), "DelaySeconds")
    if queues.is_ordered(queue):
        reason = "The request include parameter that is not valid for this queue type."
        raise names.out_of_range("DelaySeconds", asked, reason)
    if not 0 <= asked <= _MOST_DELAY:
        reason = f"DelaySeconds must be >= 0 and <= {_MOST_DELAY}."
        raise names.out_of_range("DelaySeconds", asked, reason)
    return int(asked)

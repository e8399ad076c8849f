"""Names, URLs and ARNs of queues, receipt handles, and SQS's errors. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from wildsage.core import arn
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.store.codec import Document

_NUMBERS = range(2**63)  # what a database takes
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")


def check_name(name: str, ordered: bool) -> None:
    """Raises InvalidParameterValue for a name that a new queue must not have."""
    if not _NAME.fullmatch(name):
        raise invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
    if ordered and not name.endswith(".fifo"):
        raise invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
            "must end with .fifo suffix and be 1 to 80 in length"
        )
    if name.endswith(".fifo") and not ordered:
        raise invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")


def queue_url(ctx: Context, account: str, name: str) -> str:
    """Where the caller reached the server, so that the URL works wherever the caller is."""
    host = None if ctx.request is None else ctx.request.header("host")
    base = ctx.platform.settings.url if host is None or ctx.request is None else f"{ctx.request.scheme}://{host}"
    return f"{base}/{account}/{name}"


def account_and_name(url: str) -> tuple[str, str]:
    """Whose queue a URL means, and its name. Raises QueueDoesNotExist, or InvalidAddress."""
    try:
        parts = urlsplit(url).path.strip("/").split("/")
    except ValueError:
        parts = []
    if len(parts) < 2 or not parts[-2].isdigit():
        raise ApiError("InvalidAddress", f"The address {url} is not valid for this endpoint.", 400)
    return parts[-2], parts[-1]


def queue_arn(region: str, account: str, name: str) -> str:
    return arn.build("sqs", region, account, name)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt handle says: the queue's uid, the message's number, and which of its receipts this is."""

    queue: str
    number: int
    nonce: str


def handle(receipt: Receipt) -> str:
    """Opaque to clients."""
    return base64.b64encode(f"{receipt.queue} {receipt.number} {receipt.nonce}".encode()).decode()


def receipt_of(text: str, queue: str) -> Receipt:
    """The inverse of ``handle``. Raises ReceiptHandleIsInvalid for what is none, or one of another queue."""
    try:
        uid, number, nonce = base64.b64decode(text, validate=True).decode().split(" ")
        receipt = Receipt(uid, int(number), nonce)
        if receipt.number not in _NUMBERS:
            raise ValueError(number)
    except (binascii.Error, ValueError):
        raise bad_receipt(text) from None
    if receipt.queue != queue:
        raise bad_receipt(text)
    return receipt


def bad_receipt(text: str) -> ApiError:
    return ApiError("ReceiptHandleIsInvalid", f'The input receipt handle "{text}" is not a valid receipt handle.')


def expired_receipt(text: str) -> ApiError:
    return invalid(f"Value {text} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.")


def no_queue() -> ApiError:
    return ApiError("QueueDoesNotExist", "The specified queue does not exist.")


def invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterValue", message)


def missing(message: str) -> ApiError:
    return ApiError("MissingParameter", message)


def out_of_range(name: str, value: object, reason: str) -> ApiError:
    return invalid(f"Value {value} for parameter {name} is invalid. Reason: {reason}")


def text_of(request: Document, name: str) -> str:
    """A member that the model requires; old query clients may leave it out."""
    value = request.get(name)
    if not value:
        raise missing(f"The request must contain the parameter {name}.")
    return str(value)

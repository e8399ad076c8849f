"""Messages as SNS delivers them. Pure.

Source: SNS Developer Guide, "Parsing message formats". There are no signatures: clients trust only certificates that
come from amazonaws.com.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from wildsage.store.codec import Document

_VERSION = "2010-03-31"
CONFIRMATION = "SubscriptionConfirmation"
NOTIFICATION = "Notification"


def timestamp(now: float) -> str:
    """ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _url(base: str, **fields: str) -> str:
    """A link that needs no signature; its version tells which service it is for."""
    return f"{base}/?{urlencode({**fields, 'Version': _VERSION})}"


def subscribe_url(base: str, topic: str, token: str) -> str:
    return _url(base, Action="ConfirmSubscription", TopicArn=topic, Token=token)


def notification(message: Document, text: str, unsubscribe_base: str, subscription: str) -> str:
    """The JSON around a message. ``text``: the message for the protocol it goes by."""
    told: dict[str, Any] = {"Type": NOTIFICATION, "MessageId": message["MessageId"]}
    if "SequenceNumber" in message:
        told["SequenceNumber"] = message["SequenceNumber"]
    told["TopicArn"] = message["TopicArn"]
    if message.get("Subject"):
        told["Subject"] = message["Subject"]
    told["Message"] = text
    told["Timestamp"] = message["Timestamp"]
    told["UnsubscribeURL"] = _url(unsubscribe_base, Action="Unsubscribe", SubscriptionArn=subscription)
    if message.get("MessageAttributes"):
        told["MessageAttributes"] = {
            name: {"Type": value["DataType"], "Value": _text(value)}
            for name, value in message["MessageAttributes"].items()
        }
    return _dump(told)


def confirmation(message: Document) -> str:
    """What a new endpoint gets first. ``message``: MessageId, Token, TopicArn, SubscribeURL, Timestamp."""
    topic = message["TopicArn"]
    return _dump(
        {
            "Type": CONFIRMATION,
            "MessageId": message["MessageId"],
            "Token": message["Token"],
            "TopicArn": topic,
            "Message": f"You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the "
            "SubscribeURL included in this message.",
            "SubscribeURL": message["SubscribeURL"],
            "Timestamp": message["Timestamp"],
        }
    )


def _dump(told: Mapping[str, Any]) -> str:
    return json.dumps(told, indent=2, separators=(",", " : "), ensure_ascii=False)


def _text(value: Mapping[str, Any]) -> str:
    if "BinaryValue" in value:
        return base64.b64encode(value["BinaryValue"]).decode()
    return str(value["StringValue"])

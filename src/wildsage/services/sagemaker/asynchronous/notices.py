"""What subscribers are told of a request that is over. Pure.

Source: Developer Guide, "Check prediction results"; notifications of SageMaker that people keep in their code.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from wildsage.store.codec import Document
from wildsage.store.queued import Queued

MOST_INCLUDED = 128 * 1024
"""Bytes of an answer that a notice may carry (API reference, AsyncInferenceNotificationConfig)."""
_MEMBERS = {
    "accept": "Accept",
    "contentType": "ContentType",
    "customAttributes": "CustomAttributes",
    "inputLocation": "InputLocation",
}


@dataclass(frozen=True, slots=True)
class End:
    """How a request ended. ``failure``: its failureReason; empty: it is Completed.

    ``location``: where the answer, or what the container said instead, was written; empty if nowhere.
    ``response``: its bytes, if they are few enough for a notice.
    """

    failure: str = ""
    content_type: str = ""
    location: str = ""
    response: bytes | None = None


def topic(config: Document, end: End) -> str | None:
    """The ARN of the topic that hears of it."""
    found = (config["OutputConfig"].get("NotificationConfig") or {}).get(
        "ErrorTopic" if end.failure else "SuccessTopic"
    )
    return str(found) if found else None


def includes(config: Document, failed: bool) -> bool:
    """Whether the notice carries the answer."""
    wanted = (config["OutputConfig"].get("NotificationConfig") or {}).get("IncludeInferenceResponseIn") or ()
    return ("ERROR_NOTIFICATION_TOPIC" if failed else "SUCCESS_NOTIFICATION_TOPIC") in wanted


def message(request: Queued, endpoint: str, region: str, config: Document, end: End, now: float) -> str:
    """The notice, as the text of a message."""
    asked = {name: request.document[member] for name, member in _MEMBERS.items() if request.document.get(member)}
    found: Document = {
        "awsRegion": region,
        "eventTime": _time(now),
        "receivedTime": _time(request.received),
        "invocationStatus": "Failed" if end.failure else "Completed",
    }
    if end.failure:
        found["failureReason"] = end.failure
    found["requestParameters"] = dict(sorted({**asked, "endpointName": endpoint}.items()))
    if includes(config, bool(end.failure)) and end.location:
        found["responseBody"] = _body(end.response)
    if end.location:
        found["responseParameters"] = {"contentType": end.content_type, "outputLocation": end.location}
    found |= {
        "inferenceId": request.document["InferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    return json.dumps(found, separators=(",", ":"))


def _body(response: bytes | None) -> Document:
    if response is None:
        return {"message": f"The response is larger than {MOST_INCLUDED} bytes; it is at the output location."}
    return {"content": base64.b64encode(response).decode(), "encoding": "BASE64"}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

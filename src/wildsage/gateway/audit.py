"""Stage 8: who did what. Calls become facts of the topic ``audit``, in CloudTrail's form.

Records are gathered for up to a second and written together, beside the request and not before its answer; a crash may
lose the last second of them.  Data events (objects of S3, invocations, log events) are not recorded, as in a trail with
AWS's defaults.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wildsage.gateway.exchange import Exchange
from wildsage.kit.context import Platform
from wildsage.store.facts import Fact
from wildsage.wire.model import Shape

TOPIC = "audit"
_GATHER_SECONDS = 1.0
_LONGEST = 100_000  # characters of requestParameters; CloudTrail cuts at 100 KB as well
_OMITTED = {"omitted": "requestParameters too large"}
_encode = json.JSONEncoder(separators=(",", ":")).encode
log = logging.getLogger(__name__)

_DATA_SERVICES = frozenset({"sagemaker-runtime", "sagemaker-featurestore-runtime"})
_DATA_OPERATIONS = frozenset(
    {"PutLogEvents", "GetLogEvents", "FilterLogEvents", "PutMetricData", "Publish", "PublishBatch", "Invoke"}
    | {f"{verb}Message{batch}" for verb in ("Send", "Delete") for batch in ("", "Batch")}
    | {"ReceiveMessage", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch"}
)


class Audit:
    """Gathers records; ``run`` writes them."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._waiting: list[Fact] = []

    def note(self, exchange: Exchange) -> None:
        """Takes down one finished call."""
        if exchange.operation is None or exchange.caller is None or _is_data_event(exchange):
            return
        at = int(exchange.started * 1000)
        found = record(exchange)
        text = _encode(found)
        if len(text) > _LONGEST and len(_encode(found["requestParameters"])) > _LONGEST:
            text = _encode({**found, "requestParameters": _OMITTED})
        self._waiting.append(Fact(exchange.region, at, at, text))

    async def run(self) -> None:
        """Writes what was gathered once a second, until cancelled."""
        while True:
            await self._platform.clock.sleep(_GATHER_SECONDS)
            try:
                await self.flush()
            except OSError as error:
                log.warning("records of calls are lost: %s", error)

    async def flush(self) -> None:
        """Writes what was gathered."""
        if self._waiting:
            gathered, self._waiting = self._waiting, []
            await asyncio.shield(self._platform.facts.append(TOPIC, gathered))


def _is_data_event(exchange: Exchange) -> bool:
    if exchange.service == "s3":
        return "Key" in exchange.params or exchange.op.name.startswith(("ListObject", "DeleteObjects"))
    return exchange.service in _DATA_SERVICES or exchange.op.name in _DATA_OPERATIONS


def record(exchange: Exchange) -> dict[str, Any]:
    """One call as a CloudTrail record (CloudTrail User Guide, "Record contents")."""
    caller, request, error = exchange.by, exchange.request, exchange.error
    found: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root" if caller.is_root else "AssumedRole" if ":assumed-role/" in caller.arn else "IAMUser",
            "principalId": caller.user_id,
            "arn": caller.arn,
            "accountId": caller.account,
            "accessKeyId": caller.access_key,
        },
        "eventTime": datetime.fromtimestamp(exchange.started, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{exchange.op.service.endpoint_prefix.removeprefix('api.')}.amazonaws.com",
        "eventName": exchange.op.name,
        "awsRegion": exchange.region,
        "sourceIPAddress": "sagemaker.amazonaws.com" if request is None else request.peer.rpartition(":")[0],
        "userAgent": "sagemaker.amazonaws.com" if request is None else request.header("user-agent") or "",
        "requestParameters": _parameters(exchange),
        "requestID": exchange.request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": exchange.op.name.startswith(("Get", "List", "Describe", "Head")),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
    }
    if error is not None:
        found |= {"errorCode": error.code, "errorMessage": error.message}
    return found


class _TooLarge(Exception):
    """More than a record may have."""


def _parameters(exchange: Exchange) -> Any:
    try:
        return _Shown().value(exchange.op.input, exchange.params)
    except _TooLarge:
        return _OMITTED


class _Shown:
    """Values without secrets and bytes, as long as they may fit into a record."""

    def __init__(self) -> None:
        self._left = _LONGEST

    def value(self, shape: Shape | None, value: Any) -> Any:
        """What is shown of it; raises _TooLarge."""
        if shape is not None and shape.traits.get("sensitive"):
            return "HIDDEN_DUE_TO_SECURITY_REASONS"
        self._take(len(value) + 3 if isinstance(value, str) else 3)  # quotes or brackets, and a comma
        if isinstance(value, Mapping):
            if shape is not None and shape.kind == "map":
                return {key: self._entry(key, shape.value, item) for key, item in value.items()}
            members = {} if shape is None else shape.members
            return {
                name[:1].lower() + name[1:]: self._entry(name, members.get(name), item) for name, item in value.items()
            }
        if isinstance(value, list):
            element = shape.member if shape is not None and shape.kind == "list" else None
            return [self.value(element, item) for item in value]
        if isinstance(value, str | int | float | bool) or value is None:
            return value
        return "omitted"

    def _entry(self, name: str, shape: Shape | None, item: Any) -> Any:
        self._take(len(name) + 3)
        return self.value(shape, item)

    def _take(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise _TooLarge

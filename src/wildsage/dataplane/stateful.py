"""Stateful sessions: requests that go to the instance which keeps what was said before (Developer Guide, "Stateful
sessions with Amazon SageMaker AI models").

The container makes a session's id; clients get a longer one, which any router can tell the instance from, and nobody
else can make:

    <the container's id>-<end, epoch seconds>-<which instance>-<MAC>

It ends when it expires, when the container says that it is closed, and with its instance.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from wildsage.core.routes import Instance
from wildsage.dataplane.table import LiveEndpoint, LiveVariant, Slot
from wildsage.wire.http.messages import Headers

NEW = "NEW_SESSION"
_OPENED, _CLOSED = "x-amzn-sagemaker-new-session-id", "x-amzn-sagemaker-closed-session-id"
_PLACE_LETTERS, _MAC_LETTERS = 16, 24
_MOST_LETTERS = 256  # of the header with id and expiration (NewSessionResponseHeader in the service model)
_MOST_CLOSED = 10_000


class BadSession(ValueError):
    """The container's id of a new session cannot be used."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's part in a session. ``id``: the client's; ``inward``: the container's, or NEW.

    ``variant``, ``slot``: where the session lives; None as long as a new one lives nowhere.
    """

    id: str
    inward: str
    variant: LiveVariant | None = None
    slot: Slot | None = None


class Sessions:
    """Reads and writes the ids. ``secret`` is asked each time; ``now``: epoch seconds."""

    def __init__(self, secret: Callable[[], bytes], now: Callable[[], float]) -> None:
        self._secret = secret
        self._now = now
        self._closed: dict[str, None] = {}

    def open(self, id_: str, live: LiveEndpoint) -> Visit | None:
        """The session of that id, if it goes on at an instance of the endpoint; or one that is to be made."""
        if id_ == NEW:
            return Visit(NEW, NEW)
        parts = id_.rsplit("-", 3)
        if len(id_) > _MOST_LETTERS or len(parts) != 4 or not parts[1].isdecimal() or id_ in self._closed:
            return None
        inward, end, where, _ = parts
        if not hmac.compare_digest(id_.encode(), self._make(live.endpoint.arn, inward, int(end), where).encode()):
            return None
        if 0 < int(end) <= self._now():
            return None
        for variant in live.variants:
            for slot in variant.slots:
                if place_of(slot.instance) == where:
                    return Visit(id_, inward, variant, slot)
        return None

    def outward(self, headers: Headers, visit: Visit, endpoint: str, instance: Instance) -> Headers:
        """The headers of the container's answer with the client's ids in place of its own. Raises BadSession."""
        return [(name, self._translate(name, value, visit, endpoint, instance)) for name, value in headers]

    def _translate(self, name: str, value: str, visit: Visit, endpoint: str, instance: Instance) -> str:
        if name == _OPENED:
            inward, semicolon, rest = value.partition(";")
            id_ = self._make(endpoint, inward.strip(), _expiry(rest), place_of(instance))
            opened = f"{id_}{semicolon}{rest}"
            if len(opened) > _MOST_LETTERS:
                raise BadSession(f"The id of the new session is {len(opened) - _MOST_LETTERS} letters too long.")
            return opened
        if name == _CLOSED and visit.id != NEW:
            self._closed[visit.id] = None
            if len(self._closed) > _MOST_CLOSED:
                del self._closed[next(iter(self._closed))]  # the container knows it, too
            return visit.id
        return value

    def _make(self, endpoint: str, inward: str, end: int, where: str) -> str:
        mac = hmac.digest(self._secret(), f"session\0{endpoint}\0{inward}\0{end}\0{where}".encode(), "sha256").hex()
        return f"{inward}-{end}-{where}-{mac[:_MAC_LETTERS]}"


@functools.lru_cache(4096)
def place_of(instance: Instance) -> str:
    """What stands for an instance in an id."""
    return hashlib.sha256(f"{instance.id}\0{instance.address}".encode()).hexdigest()[:_PLACE_LETTERS]


def _expiry(attribute: str) -> int:
    """`` Expires=2026-01-31T12:00:00Z`` as epoch seconds; 0 where the container says nothing that can be read."""
    _, _, text = attribute.partition("=")
    try:
        return int(datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0

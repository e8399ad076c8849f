"""One request on its way through the stages: each stage fills in what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wildsage.access.decisions import Identity
from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError
from wildsage.store.codec import Document
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.model import Operation, ServiceModel
from wildsage.wire.protocols import Protocol
from wildsage.wire.sigv4 import Authorization


@dataclass(slots=True)
class Exchange:
    """``request``: the HTTP request; None for a call by another service, which begins after ``parse``.

    Filled by identify: ``service``, ``region``, ``authorization``, ``model``, ``protocol``, ``operation``, ``labels``;
    by authenticate: ``caller``, ``identity``; by parse: ``params``; by authorize: ``refused`` (ARN and version of
    what the call must leave out); by dispatch: ``answer``. ``error`` is why it ended.
    ``rewrite`` changes the answer to a form.
    """

    request_id: str
    started: float
    request: Request | None = None
    service: str = ""
    region: str = ""
    authorization: Authorization | None = None
    model: ServiceModel | None = None
    protocol: Protocol | None = None
    operation: Operation | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    caller: Caller | None = None
    identity: Identity | None = None
    params: Document = field(default_factory=dict)
    refused: set[tuple[str, str | None]] = field(default_factory=set)
    answer: Document | None = None
    rewrite: Callable[[Response], Response] | None = None
    error: ApiError | None = None

    @property
    def op(self) -> Operation:
        """The operation, once identify has found it."""
        if self.operation is None:
            raise RuntimeError("the operation is not identified yet")
        return self.operation

    @property
    def by(self) -> Caller:
        """The caller, once authenticate has found it."""
        if self.caller is None:
            raise RuntimeError("the caller is not authenticated yet")
        return self.caller

    @property
    def http(self) -> Request:
        """The HTTP request; only stages before validate may ask for it."""
        if self.request is None:
            raise RuntimeError("a call by another service has no HTTP request")
        return self.request

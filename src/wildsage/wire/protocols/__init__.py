"""AWS's protocols, each in both directions.

``protocol_of`` picks the one a request is written in; ``protocol_named`` gives one by the name models use.
"""

from __future__ import annotations

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import Request
from wildsage.wire.model import ServiceModel
from wildsage.wire.protocols.aws_json import JsonProtocol
from wildsage.wire.protocols.base import Protocol
from wildsage.wire.protocols.query import QueryProtocol
from wildsage.wire.protocols.rest_json import RestJsonProtocol
from wildsage.wire.protocols.rest_xml import RestXmlProtocol
from wildsage.wire.protocols.rpc_cbor import RpcCborProtocol

__all__ = ["Protocol", "protocol_named", "protocol_of"]

_PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (JsonProtocol(), RestJsonProtocol(), RestXmlProtocol(), QueryProtocol(), RpcCborProtocol())
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name in the models; ApiError for ``ec2``, which is not spoken yet."""
    found = _PROTOCOLS.get(name)
    if found is None:
        raise ApiError("UnsupportedProtocol", f"Wildsage does not speak the protocol {name!r} yet.", 501)
    return found


def protocol_of(request: Request, service: ServiceModel) -> Protocol:
    """The protocol ``request`` is written in, among those its service speaks.

    CloudWatch's clients choose between three; a service that has left the query protocol (SQS) still understands it.
    """
    names = service.protocols
    if len(names) == 1 and not service.query_compatible:
        return protocol_named(names[0])
    if request.header("smithy-protocol") == "rpc-v2-cbor" and "smithy-rpc-v2-cbor" in names:
        return protocol_named("smithy-rpc-v2-cbor")
    if request.header("x-amz-target") is not None and "json" in names:
        return protocol_named("json")
    if service.query_compatible or "query" in names:
        return protocol_named("query")
    return protocol_named(service.protocol)

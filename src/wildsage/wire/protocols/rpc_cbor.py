"""RPC v2 over CBOR: POST /service/S/operation/O (Smithy 2.0, "Smithy RPC v2 CBOR protocol")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire import cbor
from wildsage.wire.aside import aside
from wildsage.wire.bounds import Bound, bound_of, read_bounded
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.protocols import events
from wildsage.wire.protocols.base import Params, Protocol, error_members, error_shape, read_body, service_of
from wildsage.wire.protocols.cbor_values import from_cbor, loads, to_cbor
from wildsage.wire.protocols.errors import error_of_json, query_error

_MARK = ("smithy-protocol", "rpc-v2-cbor")
_TYPE = ("content-type", "application/cbor")


class RpcCborProtocol(Protocol):
    name = "smithy-rpc-v2-cbor"

    async def _read_request(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Params:
        data = await read_bounded(request, operation.service.name, operation.name)
        if operation.input is None:
            return {}
        return await aside(len(data), _given, operation.input, data, bound_of(operation.service.name, operation.name))

    def serialize_response(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        headers: Headers = [_MARK, ("x-amzn-requestid", request_id)]
        if operation.output is None:
            return Response(200, headers)
        if operation.event_stream:
            return events.response(self.name, operation, result, headers)
        return Response(200, [*headers, _TYPE], cbor.dumps(to_cbor(operation.output, result)))

    def serialize_error(self, scope: Operation | ServiceModel, error: ApiError, request_id: str) -> Response:
        shape = error_shape(scope, error.code)
        service = service_of(scope)
        members = error_members(shape, error)
        tree = members if shape is None else to_cbor(shape, members) | {"message": error.message}
        kind = error.code if shape is None or not service.query_compatible else shape.name
        headers: Headers = [_MARK, _TYPE, ("x-amzn-requestid", request_id), *query_error(service, shape, error)]
        return Response(error.status, headers, cbor.dumps({"__type": kind, **tree}))

    def serialize_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        headers: Headers = [_MARK, ("accept", "application/cbor")]
        target = f"/service/{operation.service.target_prefix}/operation/{operation.name}"
        if operation.input is None:
            return Request("POST", target, headers, BytesBody())
        return Request("POST", target, [*headers, _TYPE], BytesBody(cbor.dumps(to_cbor(operation.input, params))))

    async def _read_response(self, operation: Operation, response: Response) -> Params:
        if operation.output is None:
            return {}
        if operation.event_stream:
            return await events.read_response(self.name, operation, response)
        data = await read_body(response)
        read: Params = from_cbor(operation.output, loads(data) if data else {})
        return read

    def _read_error(self, operation: Operation, response: Response, body: bytes) -> ApiError:
        return error_of_json(operation, response, loads(body) if body else {}, from_cbor)


def _given(shape: Shape, data: bytes, bound: Bound) -> Params:
    read: Params = from_cbor(shape, loads(data, bound.values) if data else {})
    return read

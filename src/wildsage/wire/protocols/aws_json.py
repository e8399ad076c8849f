"""AWS JSON 1.0 and 1.1: POST / with X-Amz-Target (Smithy 2.0, "AWS JSON 1.1 protocol")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire.aside import aside
from wildsage.wire.bounds import Bound, bound_of, read_bounded
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.protocols import events
from wildsage.wire.protocols.base import Params, Protocol, error_members, error_shape, read_body, service_of
from wildsage.wire.protocols.errors import error_of_json, query_error
from wildsage.wire.protocols.json_values import dumps, from_json, loads, to_json
from wildsage.wire.protocols.long_texts import read_bounded_json


class JsonProtocol(Protocol):
    name = "json"

    async def _read_request(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Params:
        data = await read_bounded(request, operation.service.name, operation.name)
        if operation.input is None:
            return {}
        return await aside(len(data), _given, operation.input, data, bound_of(operation.service.name, operation.name))

    def serialize_response(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        headers: Headers = [("x-amzn-requestid", request_id)]
        if operation.output is None:
            return Response(operation.http_code, [*headers, ("content-type", _content_type(operation.service))])
        if operation.event_stream:
            return events.response(self.name, operation, result, headers)
        body = dumps(to_json(operation.output, result))
        return Response(operation.http_code, [*headers, ("content-type", _content_type(operation.service))], body)

    def serialize_error(self, scope: Operation | ServiceModel, error: ApiError, request_id: str) -> Response:
        service = service_of(scope)
        shape = error_shape(scope, error.code)
        members = error_members(shape, error)
        tree = members if shape is None else {**_unmodelled(members, shape.members), **to_json(shape, members)}
        kind = error.code if shape is None or not service.query_compatible else shape.name
        headers: Headers = [
            ("x-amzn-requestid", request_id),
            ("content-type", _content_type(service)),
            *query_error(service, shape, error),
        ]
        return Response(error.status, headers, dumps({"__type": kind, **tree}))

    def serialize_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        service = operation.service
        headers: Headers = [
            ("x-amz-target", f"{service.target_prefix}.{operation.name}"),
            ("content-type", _content_type(service)),
        ]
        tree = to_json(operation.input, params) if operation.input is not None else {}
        return Request("POST", "/", headers, BytesBody(dumps(tree)))

    async def _read_response(self, operation: Operation, response: Response) -> Params:
        if operation.output is None:
            return {}
        if operation.event_stream:
            return await events.read_response(self.name, operation, response)
        data = await read_body(response)
        read: Params = from_json(operation.output, loads(data) if data else {})
        return read

    def _read_error(self, operation: Operation, response: Response, body: bytes) -> ApiError:
        return error_of_json(operation, response, loads(body) if body else {}, from_json)


def _given(shape: Shape, data: bytes, bound: Bound) -> Params:
    read: Params = from_json(shape, read_bounded_json(data, bound) if data.strip() else {})
    return read


def _unmodelled(members: Mapping[str, Any], known: Mapping[str, Any]) -> Params:
    return {name: value for name, value in members.items() if name not in known}


def _content_type(service: ServiceModel) -> str:
    return f"application/x-amz-json-{service.json_version}"

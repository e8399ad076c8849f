"""REST JSON (Smithy 2.0, "AWS restJson1 protocol")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire.bounds import Bound
from wildsage.wire.http.messages import Headers, Response
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.protocols import bindings
from wildsage.wire.protocols.base import Params, error_members, error_shape
from wildsage.wire.protocols.errors import error_of_json
from wildsage.wire.protocols.json_values import dumps, from_json, loads, to_json
from wildsage.wire.protocols.long_texts import read_bounded_json
from wildsage.wire.protocols.rest import RestProtocol


class RestJsonProtocol(RestProtocol):
    name = "rest-json"
    body_type = "application/json"

    def _body(self, operation: Operation, shape: Shape, value: Mapping[str, Any], outgoing: bool) -> bytes:
        return dumps(to_json(shape, value))

    def _given(self, shape: Shape, data: bytes, bound: Bound) -> Params:
        read: Params = from_json(shape, read_bounded_json(data, bound))
        return read

    def _members(self, shape: Shape, data: bytes) -> Params:
        read: Params = from_json(shape, loads(data))
        return read

    def _id_headers(self, request_id: str) -> Headers:
        return [("x-amzn-requestid", request_id)]

    def serialize_error(self, scope: Operation | ServiceModel, error: ApiError, request_id: str) -> Response:
        shape = error_shape(scope, error.code)
        members = error_members(shape, error)
        code = error.code if shape is None else shape.error_code
        headers: Headers = [
            ("x-amzn-requestid", request_id),
            ("x-amzn-errortype", code),
            ("content-type", self.body_type),
        ]
        if shape is None:
            return Response(error.status, headers, dumps(members))
        unmodelled = {name: value for name, value in members.items() if name not in shape.members}
        headers += bindings.write_headers(shape, members)
        return Response(error.status, headers, dumps({**unmodelled, **to_json(shape, members)}))

    def _read_error(self, operation: Operation, response: Response, body: bytes) -> ApiError:
        return error_of_json(operation, response, loads(body) if body else {}, from_json)

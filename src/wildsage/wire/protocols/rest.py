"""What REST JSON and REST XML share: members spread over path, query, headers, status and body."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from wildsage.wire.aside import aside
from wildsage.wire.bounds import Bound, bound_of, read_bounded
from wildsage.wire.http.messages import BytesBody, Headers, Request, Response
from wildsage.wire.model import Operation, Shape
from wildsage.wire.protocols import bindings, events
from wildsage.wire.protocols.base import Params, Protocol, read_body
from wildsage.wire.timestamps import Malformed

_RAW = ("blob", "string")


class RestProtocol(Protocol):
    """The subclasses say how a body is written and read."""

    body_type: str  # the content-type of a structured body

    @abstractmethod
    def _body(self, operation: Operation, shape: Shape, value: Mapping[str, Any], outgoing: bool) -> bytes:
        """``outgoing``: a response, not a request."""

    @abstractmethod
    def _given(self, shape: Shape, data: bytes, bound: Bound) -> Params:
        """The members of a request's body; raises Malformed, of one that holds too much, too."""

    @abstractmethod
    def _members(self, shape: Shape, data: bytes) -> Params: ...

    @abstractmethod
    def _id_headers(self, request_id: str) -> Headers: ...

    def _bound(self, shape: Shape, request: Request, path: Mapping[str, str]) -> Params:
        """The members that are not in the body."""
        return bindings.read_request(shape, request, path)

    async def _read_request(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Params:
        shape = operation.input
        if shape is None:
            return {}
        params = self._bound(shape, request, path)
        bound = bound_of(operation.service.name, operation.name)
        if shape.payload:
            member = shape.members[shape.payload]
            if member.streaming:
                params[shape.payload] = request.body
                return params
            data = await read_bounded(request, operation.service.name, operation.name)
            if member.kind in _RAW:
                if data or shape.payload in shape.required:
                    params[shape.payload] = self._payload(member, data)
            elif data:
                params[shape.payload] = await aside(len(data), self._given, member, data, bound)
        elif _has_body(shape):
            data = await read_bounded(request, operation.service.name, operation.name)
            if data.strip():
                params.update(await aside(len(data), self._given, shape, data, bound))
        return params

    def serialize_response(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        headers = self._id_headers(request_id)
        shape = operation.output
        if shape is None:
            return Response(operation.http_code, headers)
        headers += bindings.write_headers(shape, result)
        status = next(
            (int(result[n]) for n, m in shape.members.items() if m.location == "statusCode" and n in result), 0
        )
        response = Response(status or operation.http_code, headers)
        if not shape.payload:
            if _has_body(shape):
                response.body = self._body(operation, shape, result, outgoing=True)
                response.headers.append(("content-type", self.body_type))
            return response
        member, value = shape.members[shape.payload], result.get(shape.payload)
        if member.event_stream:
            return events.response(self.name, operation, result, headers)
        if member.kind in _RAW:
            content = value.encode() if isinstance(value, str) else value
            if content is not None:
                response.body = content
                if not any(m.wire_name.lower() == "content-type" for m in shape.members.values()):
                    response.headers.append(("content-type", "application/octet-stream"))
        elif value is not None:
            response.body = self._body(operation, member, value, outgoing=True)
            response.headers.append(("content-type", self.body_type))
        return response

    def serialize_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        shape = operation.input
        target = bindings.write_target(operation, shape, params)
        request = Request(operation.http_method, target, [], BytesBody())
        if shape is None:
            return request
        request.headers = bindings.write_headers(shape, params)
        if shape.payload:
            member, value = shape.members[shape.payload], params.get(shape.payload)
            if member.kind in _RAW:
                content = value.encode() if isinstance(value, str) else value
                if content is not None:
                    request.body = BytesBody(content) if isinstance(content, bytes) else content
                return request
            content = b"" if value is None else self._body(operation, member, value, outgoing=False)
        else:
            content = self._body(operation, shape, params, outgoing=False) if _has_body(shape) else b""
        request.body = BytesBody(content)
        if content and request.header("content-type") is None:
            request.headers.append(("content-type", self.body_type))
        return request

    async def _read_response(self, operation: Operation, response: Response) -> Params:
        shape = operation.output
        if shape is None:
            return {}
        read = bindings.read_response(shape, response)
        if not shape.payload:
            data = await read_body(response) if _has_body(shape) else b""
            return {**read, **self._members(shape, data)} if data else read
        member = shape.members[shape.payload]
        if member.event_stream:
            return {**read, **await events.read_response(self.name, operation, response)}
        if member.streaming:
            return {**read, shape.payload: response.body}
        data = await read_body(response)
        return {**read, shape.payload: self._payload(member, data)} if data else read

    def _payload(self, member: Shape, data: bytes) -> Any:
        if member.kind == "blob":
            return data
        if member.kind != "string":
            return self._members(member, data)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise Malformed("the body is not UTF-8 text") from error


def _has_body(shape: Shape) -> bool:
    return any(not member.location for member in shape.members.values())

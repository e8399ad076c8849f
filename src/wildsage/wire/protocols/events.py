"""Answers that are event streams: a sequence of the members of a union, each in a frame of its own.

In results and parsed answers such a member is an async iterator of ``{EventName: {members}}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire import cbor, eventstream
from wildsage.wire.eventstream import BadFrame, Decoder, Message, Value
from wildsage.wire.http.messages import FileBody, Headers, Response
from wildsage.wire.model import Operation, Shape
from wildsage.wire.protocols import cbor_values, json_values, xml_values
from wildsage.wire.protocols.xml_writer import XmlWriter
from wildsage.wire.timestamps import Malformed

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_WRITER = XmlWriter()
_JSON, _XML, _CBOR = "application/json", "text/xml", "application/cbor"
_BODY_TYPES = {"json": _JSON, "rest-json": _JSON, "rest-xml": _XML, "smithy-rpc-v2-cbor": _CBOR}
_RPC = ("json", "smithy-rpc-v2-cbor")
Event = Mapping[str, Mapping[str, Any]]


def response(protocol: str, operation: Operation, result: Mapping[str, Any], headers: Headers) -> Response:
    """The streaming answer. The stream member of ``result`` is an async iterator of events.

    An ApiError raised by the iterator becomes the stream's last frame.
    """
    body = _frames(protocol, operation, result)
    return Response(operation.http_code, [*headers, ("content-type", CONTENT_TYPE)], body)


async def read_response(protocol: str, operation: Operation, answer: Response) -> dict[str, Any]:
    """The stream member (and, in the RPC protocols, what the initial response carries). Raises Malformed."""
    if operation.output is None:
        raise Malformed("the operation has no output")
    messages = _messages(answer)
    initial: dict[str, Any] = {}
    if protocol in _RPC:
        first = await anext(messages, None)
        if first is None or first.headers.get(":event-type") != "initial-response":
            raise Malformed("the event stream does not begin with an initial response")
        initial = _read_body(protocol, operation.output, first.payload) if first.payload else {}
    name = operation.event_stream
    return {**initial, name: _events(protocol, operation.output.members[name], messages)}


async def _frames(protocol: str, operation: Operation, result: Mapping[str, Any]) -> AsyncIterator[bytes]:
    if operation.output is None:
        raise Malformed("the operation has no output")
    name = operation.event_stream
    if protocol in _RPC:
        rest = {key: value for key, value in result.items() if key != name}
        headers: dict[str, Value] = {":event-type": "initial-response", ":message-type": "event"}
        payload = _write_body(protocol, operation.output, rest, "initial-response")
        yield eventstream.encode(Message({**headers, ":content-type": _BODY_TYPES[protocol]}, payload))
    stream = operation.output.members[name]
    try:
        async for event in result[name]:
            for kind, members in event.items():
                yield eventstream.encode(_event(protocol, stream.members[kind], kind, members))
    except ApiError as error:
        yield eventstream.encode(_failure(protocol, stream, error))


def _event(protocol: str, shape: Shape, kind: str, members: Mapping[str, Any]) -> Message:
    headers: dict[str, Value] = {":event-type": kind, ":message-type": "event"}
    rest: dict[str, Any] = {}
    for name, value in members.items():
        member = shape.members[name]
        if member.traits.get("eventheader"):
            headers[name] = value
        elif member.traits.get("eventpayload"):
            content_type, payload = _payload(protocol, member, value, name)
            return Message({**headers, ":content-type": content_type}, payload)
        else:
            rest[name] = value
    if not shape.members:
        return Message(headers)
    return Message({**headers, ":content-type": _BODY_TYPES[protocol]}, _write_body(protocol, shape, rest, kind))


def _payload(protocol: str, member: Shape, value: Any, name: str) -> tuple[str, bytes]:
    if member.kind == "blob":
        return "application/octet-stream", bytes(value)
    if member.kind == "string":
        return "text/plain", str(value).encode()
    return _BODY_TYPES[protocol], _write_body(protocol, member, value, name)


def _failure(protocol: str, stream: Shape, error: ApiError) -> Message:
    """A modelled exception goes as one; anything else as an error with code and message."""
    shape = stream.members.get(error.code)
    if shape is None:
        return Message({":message-type": "error", ":error-code": error.code, ":error-message": error.message})
    name = next((member for member in shape.members if member.lower() == "message"), "message")
    headers = {":exception-type": error.code, ":message-type": "exception", ":content-type": _BODY_TYPES[protocol]}
    return Message(headers, _write_body(protocol, shape, {name: error.message, **error.fields}, error.code))


def _write_body(protocol: str, shape: Shape, value: Mapping[str, Any], name: str) -> bytes:
    if _BODY_TYPES[protocol] == _JSON:
        return json_values.dumps(json_values.to_json(shape, value))
    if _BODY_TYPES[protocol] == _CBOR:
        return cbor.dumps(cbor_values.to_cbor(shape, value))
    return _WRITER.element(shape, value, name).encode()


def _read_body(protocol: str, shape: Shape, data: bytes) -> dict[str, Any]:
    if _BODY_TYPES[protocol] == _JSON:
        read = json_values.from_json(shape, json_values.loads(data))
    elif _BODY_TYPES[protocol] == _CBOR:
        read = cbor_values.from_cbor(shape, cbor_values.loads(data))
    else:
        read = xml_values.from_element(shape, xml_values.loads(data))
    members: dict[str, Any] = read
    return members


async def _messages(answer: Response) -> AsyncIterator[Message]:
    decoder = Decoder()
    try:
        if isinstance(answer.body, bytes):
            for message in decoder.feed(answer.body):
                yield message
        elif not isinstance(answer.body, FileBody):
            async for chunk in answer.body:
                for message in decoder.feed(chunk):
                    yield message
        decoder.close()
    except BadFrame as error:
        raise Malformed(str(error)) from error


async def _events(protocol: str, stream: Shape, messages: AsyncIterator[Message]) -> AsyncIterator[Event]:
    async for message in messages:
        headers = message.headers
        if headers.get(":message-type") == "error":
            raise ApiError(str(headers.get(":error-code", "Error")), str(headers.get(":error-message", "")), 500)
        kind = str(headers.get(":event-type") or headers.get(":exception-type"))
        shape = stream.members.get(kind)
        if shape is None:
            continue  # a newer server may send events that this model does not know
        members = _read_event(protocol, shape, message)
        if headers.get(":message-type") == "exception":
            text = next((str(value) for name, value in members.items() if name.lower() == "message"), kind)
            raise ApiError(kind, text, shape.error_status or 400, members)
        yield {kind: members}


def _read_event(protocol: str, shape: Shape, message: Message) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, member in shape.members.items():
        if member.traits.get("eventheader") and name in message.headers:
            read[name] = message.headers[name]
        elif member.traits.get("eventpayload"):
            if member.kind == "blob":
                return {**read, name: message.payload}
            if member.kind == "string":
                return {**read, name: message.payload.decode()}
            return {**read, name: _read_body(protocol, member, message.payload)}
    return {**read, **(_read_body(protocol, shape, message.payload) if message.payload else {})}

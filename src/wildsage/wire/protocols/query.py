"""AWS query: form fields in, XML out (Smithy 2.0, "AWS query protocol")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from wildsage.core.errors import ApiError
from wildsage.wire.aside import aside
from wildsage.wire.bounds import bound_of, check_form, read_bounded
from wildsage.wire.http.messages import BytesBody, Request, Response
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.protocols.base import (
    Params,
    Protocol,
    error_members,
    error_shape,
    read_body,
    sender_fault,
    service_of,
)
from wildsage.wire.protocols.bindings import decode, parse_query
from wildsage.wire.protocols.errors import phrase
from wildsage.wire.protocols.values import format_scalar, parse_scalar
from wildsage.wire.protocols.xml_values import children, from_element, loads, local_name
from wildsage.wire.protocols.xml_writer import XmlWriter, text_element
from wildsage.wire.timestamps import ISO8601, Malformed

_CONTENT_TYPE = "text/xml"
_WRITER = XmlWriter()


class _Node:
    """One component of the dotted names: ``Tags.member.1.Key=x`` is a path of four."""

    __slots__ = ("children", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.children: dict[str, _Node] = {}

    def numbered(self) -> list[_Node]:
        """Children named 1, 2, …, in order."""
        numbers = sorted(int(name) for name in self.children if name.isdecimal() and len(name) < 10)
        return [self.children[str(number)] for number in numbers if str(number) in self.children]


class QueryProtocol(Protocol):
    name = "query"
    malformed_code = "MalformedInput"

    async def _read_request(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Params:
        text = await read_form(operation.service, request)
        if operation.input is None:
            return {}
        return await aside(len(text), _given, operation.input, request.query, text)

    def serialize_response(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        inner = ""
        if operation.output is not None:
            _, content = _WRITER.structure(operation.output, result)
            inner = f"<{operation.result_wrapper}>{content}</{operation.result_wrapper}>"
        body = (
            f'<{operation.name}Response xmlns="{_namespace(operation.service)}">{inner}'
            f"<ResponseMetadata>{text_element('RequestId', request_id)}</ResponseMetadata></{operation.name}Response>"
        )
        headers = [("x-amzn-requestid", request_id), ("content-type", _CONTENT_TYPE)]
        return Response(operation.http_code, headers, body.encode())

    def serialize_error(self, scope: Operation | ServiceModel, error: ApiError, request_id: str) -> Response:
        shape = error_shape(scope, error.code)
        code = error.code if shape is None else shape.error_code
        fault = "Sender" if sender_fault(error) else "Receiver"
        parts = [text_element("Type", fault), text_element("Code", code), text_element("Message", error.message)]
        if shape is not None:
            members = {k: v for k, v in error_members(shape, error).items() if k.lower() != "message"}
            parts.append(_WRITER.structure(shape, members)[1])
        body = (
            f'<ErrorResponse xmlns="{_namespace(service_of(scope))}"><Error>{"".join(parts)}</Error>'
            f"{text_element('RequestId', request_id)}</ErrorResponse>"
        )
        headers = [("x-amzn-requestid", request_id), ("content-type", _CONTENT_TYPE)]
        return Response(error.status, headers, body.encode())

    def serialize_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        fields = [("Action", operation.name), ("Version", operation.service.api_version)]
        if operation.input is not None:
            _write(operation.input, params, "", fields)
        headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
        return Request("POST", "/", headers, BytesBody(urlencode(fields).encode()))

    async def _read_response(self, operation: Operation, response: Response) -> Params:
        if operation.output is None:
            return {}
        root = loads(await read_body(response))
        wrapped = children(root).get(operation.result_wrapper)
        read: Params = from_element(operation.output, wrapped[0] if wrapped else root)
        return read

    def _read_error(self, operation: Operation, response: Response, body: bytes) -> ApiError:
        root = loads(body)
        found = children(root).get("Error")
        if local_name(root) != "ErrorResponse" or not found:
            raise Malformed("the error's body is not an <ErrorResponse>")
        code, message = _text(found[0], "Code"), _text(found[0], "Message")
        shape = operation.service.error(code)
        fields: Params = {} if shape is None else from_element(shape, found[0])
        fields = {name: value for name, value in fields.items() if name.lower() != "message"}
        return ApiError(code or str(response.status), message or phrase(response.status), response.status, fields)


async def read_form(service: ServiceModel, request: Request) -> str:
    """The form in a request's body, which is left readable. Raises Malformed, or what ``read_bounded`` does."""
    data = await read_bounded(request, service.name)
    request.body = BytesBody(data)
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise Malformed("the form is not percent-encoded") from error
    check_form(text, bound_of(service.name))
    return text


async def read_action(service: ServiceModel, request: Request) -> tuple[str, str]:
    """Action and Version of a form, in its body or in the query string; "" for what is not there."""
    found: dict[str, str] = {}
    for text in (await read_form(service, request), request.query):
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            if name in ("Action", "Version"):
                found.setdefault(name, decode(value))
    return found.get("Action", ""), found.get("Version", "")


def _given(shape: Shape, query: str, form: str) -> Params:
    root = _Node()
    for name, values in {**parse_query(query), **parse_query(form)}.items():
        node = root
        for part in name.split("."):
            found = node.children.get(part)
            if found is None:
                found = node.children[part] = _Node()
            node = found
        node.text = values[0]
    return _read_structure(shape, root)


def _read(shape: Shape, node: _Node) -> Any:
    if shape.kind == "structure":
        return _read_structure(shape, node)
    if shape.kind == "list":
        return _read_list(shape, node)
    if shape.kind == "map":
        return _read_map(shape, node)
    return parse_scalar(shape, node.text or "", ISO8601)


def _read_structure(shape: Shape, node: _Node) -> Params:
    read: Params = {}
    for name, member in shape.members.items():
        found = node.children.get(_member_name(name, member))
        if found is not None:
            read[name] = _read(member, found)
    return read


def _read_list(shape: Shape, node: _Node) -> list[Any]:
    items: _Node | None = node
    if not shape.flattened:
        items = node.children.get(shape.member.wire_name or "member")
    return [] if items is None else [_read(shape.member, item) for item in items.numbered()]


def _read_map(shape: Shape, node: _Node) -> Params:
    entries = node if shape.flattened else node.children.get("entry", _Node())
    key_name, value_name = shape.key.wire_name or "key", shape.value.wire_name or "value"
    read: Params = {}
    for entry in entries.numbered():
        key, value = entry.children.get(key_name), entry.children.get(value_name)
        if key is None or value is None:
            raise Malformed(f"a map entry needs both {key_name} and {value_name}")
        read[_read(shape.key, key)] = _read(shape.value, value)
    return read


def _member_name(name: str, member: Shape) -> str:
    """A flattened list goes by its element's name, if that has one."""
    if member.kind == "list" and member.flattened and member.member.wire_name:
        return member.member.wire_name
    return member.wire_name or name


def _write(shape: Shape, value: Any, prefix: str, fields: list[tuple[str, str]]) -> None:
    if shape.kind == "structure":
        for name, item in value.items():
            member = shape.members.get(name)
            if item is not None and member is not None:
                dotted = _member_name(name, member)
                _write(member, item, f"{prefix}.{dotted}" if prefix else dotted, fields)
    elif shape.kind == "list":
        if not value:
            fields.append((prefix, ""))
        start = prefix if shape.flattened else f"{prefix}.{shape.member.wire_name or 'member'}"
        for number, item in enumerate(value, 1):
            _write(shape.member, item, f"{start}.{number}", fields)
    elif shape.kind == "map":
        start = prefix if shape.flattened else f"{prefix}.entry"
        for number, (key, item) in enumerate(value.items(), 1):
            _write(shape.key, key, f"{start}.{number}.{shape.key.wire_name or 'key'}", fields)
            _write(shape.value, item, f"{start}.{number}.{shape.value.wire_name or 'value'}", fields)
    else:
        fields.append((prefix, format_scalar(shape, value, ISO8601)))


def _namespace(service: ServiceModel) -> str:
    """Services that have left the query protocol keep no namespace in their model."""
    return service.xml_namespace or f"http://{service.endpoint_prefix}.amazonaws.com/doc/{service.api_version}/"


def _text(element: Element, name: str) -> str:
    found = children(element).get(name)
    return (found[0].text or "") if found else ""

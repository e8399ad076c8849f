"""Members bound to the path, the query string, headers and the status code (the REST protocols).

Source of the rules: Smithy 2.0, "HTTP bindings"; timestamps are http-date in headers and date-time elsewhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

from wildsage.wire.http.messages import Headers, Request, Response
from wildsage.wire.model import Operation, Shape
from wildsage.wire.protocols import json_values
from wildsage.wire.protocols.values import decode_blob, format_scalar, parse_scalar
from wildsage.wire.timestamps import ISO8601, RFC822, Malformed

_NO_BREAKS = {0x0: " ", 0xA: " ", 0xD: " "}
_PLAIN_IN_Q = "!\"#$&'()*+,-./:;<>@[\\]^`{|}~"  # and letters and digits


def parse_query(query: str) -> dict[str, list[str]]:
    """A query string's values by name; ``?uploads`` gives ``""``. Raises Malformed for text that is not UTF-8."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            found.setdefault(decode(name), []).append(decode(value))
    return found


def decode(text: str) -> str:
    """Percent and plus decoding, strictly UTF-8."""
    if "%" not in text and "+" not in text:
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed("the request target is not UTF-8") from error


def read_request(shape: Shape, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
    """The members that are not in the body."""
    query = parse_query(request.query)
    read: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.location
        if not location:
            continue
        wire_name = member.wire_name or name
        value: Any = None
        if location == "uri":
            value = _read_text(member, path.get(wire_name), ISO8601)
        elif location == "querystring":
            value = _read_query(member, wire_name, query)
        elif location in ("header", "headers"):
            value = _read_header(member, wire_name, request.headers)
        if value is not None:
            read[name] = value
    return read


def read_response(shape: Shape, response: Response) -> dict[str, Any]:
    """The members that are not in the body."""
    read: dict[str, Any] = {}
    for name, member in shape.members.items():
        if member.location == "statusCode":
            read[name] = response.status
        elif member.location in ("header", "headers"):
            value = _read_header(member, member.wire_name or name, response.headers)
            if value is not None:
                read[name] = value
    return read


def write_headers(shape: Shape, values: Mapping[str, Any]) -> Headers:
    """Header members, with lower-case names."""
    headers: Headers = []
    for name, value in values.items():
        member = shape.members.get(name)
        if value is None or member is None:
            continue
        wire_name = (member.wire_name or name).lower()
        if member.location == "headers":
            headers += [(wire_name + key.lower(), mail_safe(str(item))) for key, item in value.items()]
        elif member.location == "header" and not (member.kind == "list" and not value):
            headers.append((wire_name, header_text(_write_header(member, value))))
    return headers


def write_target(operation: Operation, shape: Shape | None, params: Mapping[str, Any]) -> str:
    """The request target: path and query of the template with the members filled in."""
    template, _, literals = operation.http_uri.partition("?")
    pairs = [literals] if literals else []
    labels: dict[str, str] = {}
    for name, value in params.items():
        member = shape.members.get(name) if shape is not None else None
        if value is None or member is None:
            continue
        if member.location == "uri":
            labels[member.wire_name or name] = format_scalar(member, value, ISO8601)
        elif member.location == "querystring":
            pairs += _write_query(member, member.wire_name or name, value)
    path = "/".join(_fill(segment, labels) for segment in template.split("/"))
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def _fill(segment: str, labels: Mapping[str, str]) -> str:
    if not segment.startswith("{"):
        return segment
    label = segment.strip("{}")
    if label.endswith("+"):
        return quote(labels[label[:-1]], safe="/~")
    return quote(labels[label], safe="~")


def _write_query(member: Shape, name: str, value: Any) -> list[str]:
    if member.kind == "map":
        return [part for key, item in value.items() for part in _write_query(member.value, key, item)]
    if member.kind == "list":
        return [part for item in value for part in _write_query(member.member, name, item)]
    return [f"{quote(name, safe='~')}={quote(format_scalar(member, value, ISO8601), safe='~')}"]


def _read_query(member: Shape, name: str, query: Mapping[str, list[str]]) -> Any:
    if member.kind == "map":
        return {key: values if member.value.kind == "list" else values[0] for key, values in query.items()}
    values = query.get(name)
    if values is None:
        return None
    if member.kind == "list":
        return [parse_scalar(member.member, value, ISO8601) for value in values]
    return _read_text(member, values[0], ISO8601)


def _read_text(member: Shape, text: str | None, style: str) -> Any:
    """A scalar; an empty text counts as absent unless it can be a value."""
    if text is None or (not text and member.kind != "string"):
        return None
    return parse_scalar(member, text, style)


def _read_header(member: Shape, name: str, headers: Headers) -> Any:
    name = name.lower()
    if member.location == "headers":
        return {key[len(name) :]: value for key, value in headers if key.startswith(name)} or None
    found = [value for key, value in headers if key == name]
    if not found:
        return None
    if member.kind == "list":
        return [parse_scalar(member.member, item, RFC822) for value in found for item in _split(value)]
    if "jsonvalue" in member.traits:
        return json_values.loads(decode_blob(found[0]))
    return _read_text(member, found[0], RFC822)


def _split(value: str) -> list[str]:
    """A header list: commas separate, double quotes protect, a backslash protects a quote."""
    items: list[str] = []
    current, quoted, escaped = "", False, False
    for character in value:
        if escaped or (character not in '\\"' and (quoted or character != ",")):
            current += character
            escaped = False
        elif character == "\\":
            escaped = quoted
            current += "" if quoted else character
        elif character == '"':
            quoted = not quoted
        else:
            items.append(current.strip())
            current = ""
    return [*items, current.strip()]


def _write_header(member: Shape, value: Any) -> str:
    if member.kind == "list":
        return ",".join(_quoted(format_scalar(member.member, item, RFC822)) for item in value if item is not None)
    if "jsonvalue" in member.traits:
        return base64.b64encode(json_values.dumps(value)).decode()
    return format_scalar(member, value, RFC822)


def _quoted(text: str) -> str:
    if "," not in text and '"' not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def header_text(text: str) -> str:
    """Fit for a header line: one line, in latin-1 where that can say it, so that what came in a header goes as it came.

    What latin-1 cannot say becomes UTF-8, written as latin-1 text as the HTTP layer expects.
    """
    if text.isascii() and text.isprintable():
        return text
    if max(text, default="") > "\xff":
        text = text.encode("utf-8", "replace").decode("latin-1")
    return text.translate(_NO_BREAKS)


def mail_safe(text: str) -> str:
    """``header_text`` of metadata: what is not ASCII as one word of RFC 2047 (S3 User Guide, "Working with metadata").

    S3 takes a header's bytes for latin-1, so clients that send UTF-8 get twice encoded what AWS encodes twice as well.
    Q or B, whichever reads better, as AWS chooses.
    """
    if text.isascii():
        return header_text(text)
    data = text.encode("utf-8", "replace")
    if 2 * sum(character.isascii() for character in text) <= len(text):
        return f"=?UTF-8?B?{base64.b64encode(data).decode()}?="
    word = quote(data, safe=_PLAIN_IN_Q).replace("_", "=5F").replace("%20", "_").replace("%", "=")
    return f"=?UTF-8?Q?{word}?="

"""The headers of an answer, in the order and form in which control writes them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.dataplane.answers import request_id
from wildsage.wire.http.exchange import Exchange
from wildsage.wire.http.messages import Headers
from wildsage.wire.model import Shape, load
from wildsage.wire.protocols import s3
from wildsage.wire.protocols.bindings import header_text, write_headers
from wildsage.wire.protocols.rest_xml import RestXmlProtocol
from wildsage.wire.timestamps import RFC822, format_timestamp

_PROTOCOL = RestXmlProtocol()


@functools.cache
def _shape(operation: str) -> Shape:
    shape = load("s3").operations[operation].output
    assert shape is not None  # every operation answered here has headers
    return shape


@functools.cache
def _plain(operation: str) -> dict[str, str]:
    """Members that are text or integers in a header of their own → the header's name."""
    return {
        name: member.wire_name.lower()
        for name, member in _shape(operation).members.items()
        if member.location == "header" and member.kind in ("string", "integer", "long")
    }


def refuse(exchange: Exchange, operation: str, error: ApiError) -> None:
    """Answers with an error as control writes it."""
    response = _PROTOCOL.serialize_error(load("s3").operations[operation], error, request_id())
    exchange.respond(response.status, response.headers, response.body if isinstance(response.body, bytes) else b"")


def internal_error() -> ApiError:
    """For what is a bug and in the log."""
    return ApiError("InternalError", "We encountered an internal error. Please try again.", 500)


@functools.lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    return format_timestamp(seconds, RFC822)


def answer_headers(operation: str, told: Mapping[str, Any]) -> Headers:
    """What ``protocols.rest_xml`` makes of ``told``, faster."""
    plain = _plain(operation)
    headers = s3.id_headers(request_id())
    for name, value in told.items():
        if name in plain:
            text = value if isinstance(value, str) else str(value)
            headers.append((plain[name], header_text(text)))
        elif name == "LastModified":
            headers.append(("last-modified", _http_date(value)))
        else:
            headers += write_headers(_shape(operation), {name: value})
    return headers

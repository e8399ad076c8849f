"""Stage 9: the answer, in the protocol of the request."""

from __future__ import annotations

import json

from wildsage.core.errors import ApiError, InternalFailure
from wildsage.gateway.exchange import Exchange
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.protocols.xml_writer import text_element


def write(exchange: Exchange) -> Response:
    """The response; an error if the exchange has one."""
    error = exchange.error
    if error is None and exchange.protocol is not None and exchange.answer is not None:
        response = exchange.protocol.serialize_response(exchange.op, exchange.answer, exchange.request_id)
        return response if exchange.rewrite is None else exchange.rewrite(response)
    if error is None:
        error = InternalFailure()
    scope = exchange.operation or exchange.model
    if exchange.protocol is None or scope is None:
        return _bare(exchange.http, error, exchange.request_id)
    return exchange.protocol.serialize_error(scope, error, exchange.request_id)


def _bare(request: Request, error: ApiError, request_id: str) -> Response:
    """For a request that names no service we know: XML where it looks like S3 or a form, JSON otherwise."""
    headers = [("x-amzn-requestid", request_id)]
    content_type = request.header("content-type") or ""
    if request.header("x-amz-target") or "json" in content_type or error.code.endswith("Exception"):
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        headers += [("content-type", "application/x-amz-json-1.1"), ("x-amzn-errortype", error.code)]
        return Response(error.status, headers, body)
    words = text_element("Code", error.code) + text_element("Message", error.message)
    text = '<?xml version="1.0" encoding="UTF-8"?>\n'
    if "x-www-form-urlencoded" in content_type:
        fault = "Sender" if error.status < 500 else "Receiver"
        text += f"<ErrorResponse><Error><Type>{fault}</Type>{words}</Error>"
        text += f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    else:
        text += f"<Error>{words}<RequestId>{request_id}</RequestId></Error>"
    return Response(error.status, [*headers, ("content-type", "application/xml")], text.encode())

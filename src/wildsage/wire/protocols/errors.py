"""Error answers: what JSON, CBOR and XML bodies have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import Headers, Response
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.protocols.base import sender_fault
from wildsage.wire.timestamps import Malformed


def query_error(service: ServiceModel, shape: Shape | None, error: ApiError) -> Headers:
    """``x-amzn-query-error: Code;Sender`` where a service has left the query protocol (Smithy, awsQueryCompatible)."""
    if not service.query_compatible:
        return []
    code = error.code if shape is None else shape.error_code
    return [("x-amzn-query-error", f"{code};{'Sender' if sender_fault(error) else 'Receiver'}")]


def bare_code(text: str) -> str:
    """``Name`` of ``com.amazonaws.x#Name:http://…``."""
    return text.partition(":")[0].rpartition("#")[2]


def phrase(status: int) -> str:
    """The reason phrase, for errors that come without a message."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the answer has no message"


def error_of_json(operation: Operation, response: Response, tree: Any, read: Callable[[Shape, Any], Any]) -> ApiError:
    """The error that a JSON or CBOR body and its headers stand for; ``read`` turns members into values."""
    if not isinstance(tree, Mapping):
        raise Malformed("the error's body is not an object")
    code = bare_code(
        response.header("x-amzn-errortype") or str(tree.get("__type") or tree.get("code") or response.status)
    )
    message = str(tree.get("message") or tree.get("Message") or phrase(response.status))
    shape = operation.service.error(code)
    fields = {} if shape is None else read(shape, {k: v for k, v in tree.items() if k != "__type"})
    fields = {name: value for name, value in fields.items() if name.lower() != "message"}
    query_code = (response.header("x-amzn-query-error") or "").partition(";")[0]
    return ApiError(query_code or code, message, response.status, fields)

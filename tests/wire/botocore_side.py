"""botocore's own serializers and parsers over our messages."""

from __future__ import annotations

import functools
from typing import Any

from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from wildsage.wire.http.messages import BytesBody, Request, Response


@functools.cache
def model(service: str) -> Any:
    # The extras turn S3's Expires, free text, into a date.
    return BotocoreModel(Loader(include_default_extras=False).load_service_model(service, "service-2"), service)


def request_of(service: str, operation: str, params: dict[str, Any], protocol: str) -> Request:
    """The request a botocore client would send (before signing)."""
    operation_model = model(service).operation_model(operation)
    made = create_serializer(protocol, include_validation=False).serialize_to_request(params, operation_model)
    url = "http://127.0.0.1:4566" + made["url_path"]
    prepared = AWSRequest(made["method"], url, made["headers"], made["body"], made["query_string"]).prepare()
    target = prepared.url.removeprefix("http://127.0.0.1:4566")
    body = prepared.body or b""
    headers = [(key.lower(), _text(value)) for key, value in prepared.headers.items()]
    if "ContentLength" not in params:  # else S3's model would take the length of the message for a member
        headers = [(key, value) for key, value in headers if key != "content-length"]
    return Request(prepared.method, target, headers, BytesBody(body.encode() if isinstance(body, str) else bytes(body)))


def parse(service: str, operation: str, response: Response, protocol: str) -> dict[str, Any]:
    """What a botocore client would make of ``response``."""
    assert isinstance(response.body, bytes)
    parts = {
        "status_code": response.status,
        "headers": HeadersDict(dict(response.headers)),
        "body": response.body,
        "context": {"operation_name": operation},
    }
    shape = model(service).operation_model(operation).output_shape
    if shape is not None and "payload" in shape.serialization and response.status < 300:
        member = shape.members[shape.serialization["payload"]]
        if member.type_name == "blob":
            parts["body"] = _Opaque(response.body)  # clients wrap it in a StreamingBody: it is not decoded
    parsed: dict[str, Any] = create_parser(protocol).parse(parts, shape)
    return parsed


class _Opaque:
    """Stands where a client would have a stream."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def opened(value: Any) -> Any:
    """A parsed member with its stream read."""
    return value.data if isinstance(value, _Opaque) else value


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value

"""REST XML, spoken by S3 alone among the services here (Smithy 2.0, "AWS restXml protocol")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire.bounds import Bound, check_xml
from wildsage.wire.http.messages import Headers, Request, Response
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.protocols import s3
from wildsage.wire.protocols.base import Params, error_shape, read_body
from wildsage.wire.protocols.errors import phrase
from wildsage.wire.protocols.rest import RestProtocol
from wildsage.wire.protocols.xml_values import children, from_element, loads, local_name
from wildsage.wire.protocols.xml_writer import XmlWriter, text_element
from wildsage.wire.timestamps import Malformed

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_BODILESS = (204, 304)
_ERROR = re.compile(rb"(?:<\?xml[^>]*>\s*)?<Error[\s>]")
_LATE_STATUSES = {"SlowDown": 503, "ServiceUnavailable": 503}
_WRITER = XmlWriter(always_milliseconds=True)


class RestXmlProtocol(RestProtocol):
    name = "rest-xml"
    body_type = "application/xml"
    malformed_code = "MalformedXML"

    def _body(self, operation: Operation, shape: Shape, value: Mapping[str, Any], outgoing: bool) -> bytes:
        root = shape.wire_name or s3.ROOT_ELEMENTS.get(operation.name) or shape.name
        if operation.name == "GetBucketLocation" and outgoing:
            # The one answer whose root element is the value itself; us-east-1 is the empty one.
            region = value.get("LocationConstraint") or ""
            return f'{_DECLARATION}<{root} xmlns="{s3.NAMESPACE}">{region}</{root}>'.encode()
        attributes, content = _WRITER.structure(shape, value)
        if "xmlns=" not in attributes:
            attributes = f' xmlns="{s3.NAMESPACE}"{attributes}'
        return f"{_DECLARATION}<{root}{attributes}>{content}</{root}>".encode()

    def _given(self, shape: Shape, data: bytes, bound: Bound) -> Params:
        check_xml(data, bound)
        return self._members(shape, data)

    def _members(self, shape: Shape, data: bytes) -> Params:
        root = loads(data)
        if local_name(root) == "LocationConstraint" and "LocationConstraint" in shape.members:
            return {"LocationConstraint": root.text} if root.text else {}
        if shape.wire_name and local_name(root) != shape.wire_name:
            # Otherwise any other document would be one that says nothing: "block no public access", for one.
            raise Malformed(f"the root element is {local_name(root)[:60]}, not {shape.wire_name}")
        read: Params = from_element(shape, root)
        return read

    def _bound(self, shape: Shape, request: Request, path: Mapping[str, str]) -> Params:
        try:
            params = super()._bound(shape, request, path)
        except Malformed as error:
            # Only a body is malformed XML.
            raise ApiError("InvalidArgument", str(error), 400) from error
        if "ChecksumMode" in params:
            params["ChecksumMode"] = params["ChecksumMode"].upper()  # the C++ SDK, thus pyarrow, writes "enabled"
        return params

    def _id_headers(self, request_id: str) -> Headers:
        return s3.id_headers(request_id)

    def serialize_response(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        response = super().serialize_response(operation, result, request_id)
        response.status = s3.STATUSES.get(operation.name, response.status)
        if response.header("content-range") is not None:
            response.status = 206  # the model knows only 200
        return response

    def serialize_error(self, scope: Operation | ServiceModel, error: ApiError, request_id: str) -> Response:
        """``<Error>`` without a wrapper; further elements are the error's fields (BucketName, Key, …).

        Fields in small letters (``x-amz-delete-marker``) are headers of the answer.
        """
        headers = self._id_headers(request_id)
        headers += [(name, str(value)) for name, value in error.fields.items() if name.islower()]
        without_body = isinstance(scope, Operation) and scope.http_method == "HEAD"
        if without_body or error.status in _BODILESS:
            return Response(error.status, headers)
        shape = error_shape(scope, error.code)
        elements = {"Code": error.code if shape is None else shape.error_code, "Message": error.message}
        elements |= {name: str(value) for name, value in error.fields.items() if not name.islower()}
        elements |= {"RequestId": request_id, "HostId": s3.host_id(request_id)}
        content = "".join(text_element(name, text) for name, text in elements.items())
        headers.append(("content-type", self.body_type))
        return Response(error.status, headers, f"{_DECLARATION}<Error>{content}</Error>".encode())

    async def _read_response(self, operation: Operation, response: Response) -> Params:
        """S3 says 200 before it knows how a copy or a completion ends: the body may be an error all the same.

        Source: API reference, CopyObject and CompleteMultipartUpload.
        """
        shape = operation.output
        if shape is not None and _is_xml(shape):
            response.body = (await read_body(response)).lstrip()  # white space keeps a connection open meanwhile
            if _ERROR.match(response.body) is not None:
                error = self._read_error(operation, response, response.body)
                error.status = _LATE_STATUSES.get(error.code, 500)
                raise error
        return await super()._read_response(operation, response)

    def _read_error(self, operation: Operation, response: Response, body: bytes) -> ApiError:
        if not body.strip():
            return ApiError(str(response.status), phrase(response.status), response.status)
        root = loads(body)
        if local_name(root) != "Error":
            raise Malformed("the error's body is not an <Error>")
        texts = {name: elements[0].text or "" for name, elements in children(root).items()}
        code, message = texts.pop("Code", str(response.status)), texts.pop("Message", phrase(response.status))
        fields = {name: text for name, text in texts.items() if name not in ("RequestId", "HostId")}
        return ApiError(code, message, response.status, fields)


def _is_xml(shape: Shape) -> bool:
    """Whether the answer's body is neither bytes, text nor events."""
    if not shape.payload:
        return any(not member.location for member in shape.members.values())
    member = shape.members[shape.payload]
    return member.kind == "structure" and not member.event_stream

"""What every protocol offers, in both directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import BodyTooLarge, FileBody, Request, Response, read_whole
from wildsage.wire.model import Operation, ServiceModel, Shape
from wildsage.wire.timestamps import Malformed

MAX_BODY = 68 * 1024 * 1024  # bytes of a request or answer that is held in memory; payloads that stream have no limit
Params = dict[str, Any]


class Protocol(ABC):
    """One of AWS's protocols. Instances hold no state and are shared.

    Server direction: ``parse_request``, ``serialize_response``, ``serialize_error``.
    Client direction: ``serialize_request``, ``parse_response``.
    Params and results are dicts in API spelling; timestamps are epoch seconds, blobs bytes, streaming payloads a Body
    (requests) or bytes, a FileBody or an async iterator (responses).
    """

    name: str
    malformed_code = "SerializationException"

    async def parse_request(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Params:
        """The input's members; ``path`` is what routing found in the path. Raises ApiError if it cannot be read."""
        try:
            return await self._read_request(operation, request, path)
        except Malformed as error:
            raise ApiError(self.malformed_code, str(error)) from error
        except RecursionError as error:
            raise ApiError(self.malformed_code, "The request is nested too deeply") from error

    async def parse_response(self, operation: Operation, response: Response) -> Params:
        """The output's members. An error answer, or one that cannot be read, raises ApiError."""
        try:
            if response.status >= 300:
                raise self._read_error(operation, response, await read_body(response))
            return await self._read_response(operation, response)
        except (Malformed, RecursionError, BodyTooLarge) as error:
            words = f"{operation.name} was answered with something unreadable: {error}"
            raise ApiError("MalformedResponse", words, 502) from error

    @abstractmethod
    async def _read_request(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Params: ...

    @abstractmethod
    async def _read_response(self, operation: Operation, response: Response) -> Params: ...

    @abstractmethod
    def _read_error(self, operation: Operation, response: Response, body: bytes) -> ApiError: ...

    @abstractmethod
    def serialize_response(self, operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer of a call that went well. Members of ``result`` that the model does not have are left out."""

    @abstractmethod
    def serialize_error(self, scope: Operation | ServiceModel, error: ApiError, request_id: str) -> Response:
        """The answer of a call that failed; ``scope`` is the service where no operation was found."""

    @abstractmethod
    def serialize_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        """A request, unsigned and without host header."""


async def read_body(response: Response) -> bytes:
    """A response's body in memory; raises BodyTooLarge beyond MAX_BODY."""
    body = response.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileBody):
        raise TypeError("a file body belongs to the serving side; it is never parsed")
    return await read_whole(body, MAX_BODY)


def service_of(scope: Operation | ServiceModel) -> ServiceModel:
    return scope.service if isinstance(scope, Operation) else scope


def error_shape(scope: Operation | ServiceModel, code: str) -> Shape | None:
    """The modelled exception of that code or name."""
    return service_of(scope).error(code)


def error_members(shape: Shape | None, error: ApiError) -> Params:
    """The exception's members; the message goes by the name the model gives it (``message`` or ``Message``)."""
    name = "message"
    if shape is not None:
        name = next((member for member in shape.members if member.lower() == "message"), name)
    return {name: error.message, **error.fields}


def sender_fault(error: ApiError) -> bool:
    """Whether the caller is to blame."""
    return error.status < 500

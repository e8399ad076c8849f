"""Refusals in the words of the OCI distribution specification ("Error codes"), made of ECR's errors."""

from __future__ import annotations

import json
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import Headers, Response

VERSION: Final = ("docker-distribution-api-version", "registry/2.0")
_CODES: Final[dict[str, tuple[str, int]]] = {
    "AccessDeniedException": ("DENIED", 403),
    "ImageDigestDoesNotMatchException": ("DIGEST_INVALID", 400),
    "ImageNotFoundException": ("MANIFEST_UNKNOWN", 404),
    "ImageTagAlreadyExistsException": ("TAG_INVALID", 400),
    "InvalidLayerException": ("DIGEST_INVALID", 400),
    "InvalidLayerPartException": ("BLOB_UPLOAD_INVALID", 416),
    "InvalidParameterException": ("MANIFEST_INVALID", 400),
    "InvalidRange": ("BLOB_UPLOAD_INVALID", 416),
    "LayersNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "ReferencedImagesNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 400),
    "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
    "ServerException": ("UNKNOWN", 507),
    "UploadNotFoundException": ("BLOB_UPLOAD_UNKNOWN", 404),
}


class Refusal(Exception):
    """An answer that says no. ``code``: the specification's."""

    def __init__(self, code: str, message: str, status: int, headers: Headers | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.headers = headers or []

    def response(self) -> Response:
        body = json.dumps({"errors": [{"code": self.code, "message": self.message}]}).encode()
        return Response(self.status, [("content-type", "application/json"), VERSION, *self.headers], body)


def of(error: ApiError) -> Refusal:
    """What a client that pushes or pulls is told of an error of ECR's."""
    code, status = _CODES.get(error.code, ("UNKNOWN", error.status))
    return Refusal(code, error.message, status)


def unauthorized(host: str, message: str = "authentication required") -> Refusal:
    """Clients begin without a password and wait for this challenge."""
    challenge = f'Basic realm="https://{_harmless(host)}/",service="ecr.amazonaws.com"'
    return Refusal("UNAUTHORIZED", message, 401, [("www-authenticate", challenge)])


def _harmless(host: str) -> str:
    return "".join(letter for letter in host[:255] if letter.isalnum() or letter in ".:-[]")


def no_such_path() -> Refusal:
    return Refusal("UNSUPPORTED", "The registry has nothing at this path.", 404)


def no_such_method(allowed: str) -> Refusal:
    return Refusal("UNSUPPORTED", f"The operation is unsupported; {allowed} would do.", 405, [("allow", allowed)])


def blob_unknown(digest: str) -> Refusal:
    return Refusal("BLOB_UNKNOWN", f"blob unknown to registry: {digest[:100]}", 404)


def bad_digest(digest: str) -> Refusal:
    return Refusal("DIGEST_INVALID", f"{digest[:100]!r} is not sha256: and 64 hexadecimal digits", 400)

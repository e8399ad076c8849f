"""What the upstream answers, in the words of this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from wildsage.core.errors import ApiError
from wildsage.core.upstream import NAME, S3Upstream
from wildsage.wire.http.client_connection import AnswerLost, Unreachable, Untrusted
from wildsage.wire.http.messages import Response
from wildsage.wire.model import Operation

_KEYS: Final = f"correct {NAME}_ACCESS_KEY and {NAME}_SECRET_KEY (and {NAME}_SESSION_TOKEN, if it has one)"
_REGION: Final = f"set {NAME}_REGION to the region of the bucket"
# Codes about what this server signed, not about what its client did → what to do.
_OURS: Final[Mapping[str, str]] = {
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "InvalidToken": _KEYS,
    "ExpiredToken": _KEYS,
    "TokenRefreshRequired": _KEYS,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "RequestTimeTooSkewed": "set the clocks of both machines",
}
# HEAD has no body to say more.
_OF_HEAD: Final[Mapping[int, tuple[str, str]]] = {
    301: ("PermanentRedirect", "The bucket is in another region"),
    403: ("AccessDenied", "Access Denied"),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
}
_TOLD: Final = (
    *("etag", "last-modified", "cache-control", "expires", "accept-ranges", "content-range", "retry-after"),
    *("x-amz-delete-marker", "x-amz-version-id", "x-amz-bucket-region"),
)


def refused(error: ApiError, operation: Operation, response: Response, upstream: S3Upstream) -> ApiError:
    """An error of the upstream as the client gets it: code, status and message are the upstream's.

    An error about this server's own credentials is not the client's, nor is it of use to try again: it becomes 403
    ``UpstreamRefused`` and says what to correct.
    """
    code, message, status = error.code, error.message, error.status
    if operation.http_method == "HEAD":
        code, message = _OF_HEAD.get(status, (code, message))
        if status == 404:
            code = "NoSuchBucket" if operation.name == "HeadBucket" else "NoSuchKey"
    if code in _OURS and not (code == "IllegalLocationConstraintException" and operation.name == "CreateBucket"):
        words = f"The upstream S3 at {upstream.url} does not accept what this server signs ({code}: {message}). "
        words += f"Your own credentials are not the reason: whoever runs this server must {_OURS[code]}."
        return ApiError("UpstreamRefused", words, 403)
    if code == "AccessDenied":
        message = f"{message} (by the upstream S3 at {upstream.url}, whose policies are about this server's key there)"
    fields = {name: value for name, value in error.fields.items() if not name.islower()}
    fields |= {name: value for name, value in response.headers if name in _TOLD}
    return ApiError(code, message, status, fields)


def unreachable(error: Unreachable, upstream: S3Upstream) -> ApiError:
    """503 ``ServiceUnavailable``, which clients try again; without trust ``UpstreamRefused``, which they do not."""
    if not isinstance(error, Untrusted):
        words = f"The upstream S3 at {upstream.url} cannot be reached ({error}). Is it running, and is {NAME} right?"
        return ApiError("ServiceUnavailable", words, 503)
    remedy = f"set {NAME}_CA to a file with the certificate of the authority that signed it"
    words = (
        f"No trusted connection to the upstream S3 at {upstream.url}: {error}. Whoever runs this server must {remedy}"
    )
    return ApiError("UpstreamRefused", f"{words}, or correct {NAME}.", 403)


def circular(upstream: S3Upstream) -> ApiError:
    words = f"{NAME} is {upstream.url}, which leads back to this server. Whoever runs it must name another S3."
    return ApiError("UpstreamRefused", words, 403)


def lost(upstream: S3Upstream) -> ApiError:
    words = f"The upstream S3 at {upstream.url} closed the connection before its answer was whole. Please try again."
    return ApiError("ServiceUnavailable", words, 503)


def silent(upstream: S3Upstream) -> ApiError:
    words = f"The upstream S3 at {upstream.url} has not answered for {upstream.seconds:g} seconds. Please try again."
    return ApiError("SlowDown", words, 503)


class Arriving:
    """The body of an answer: ends with an ApiError if the upstream breaks off or falls silent.

    Must be read to its end or closed.
    """

    def __init__(self, body: AsyncIterator[bytes], upstream: S3Upstream) -> None:
        self._body = body
        self._upstream = upstream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout(self._upstream.seconds):
                return await anext(self._body)
        except AnswerLost as error:
            raise lost(self._upstream) from error
        except TimeoutError as error:
            await self.aclose()
            raise silent(self._upstream) from error

    async def aclose(self) -> None:
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

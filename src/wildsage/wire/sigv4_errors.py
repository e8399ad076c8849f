"""The words and codes with which AWS refuses a signature.

There are four ways to say the same, by the family of the service: ``json`` answers everything with 400, ``rest`` uses
403, ``query`` (IAM, STS, SNS) has names without "Exception", and S3 has names of its own with more to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

from wildsage.core.errors import ApiError
from wildsage.wire.http.messages import Request

Dialect = Literal["json", "rest", "query", "s3"]

_S3_SERVICES = ("s3", "s3express", "s3-outposts", "s3-object-lambda")
_MISMATCH = "The request signature we calculated does not match the signature you provided."
_ADVICE = "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
_INVALID_TOKEN = "The security token included in the request is invalid."


class Signed(Protocol):
    """What the refusals need to know of an authorization."""

    @property
    def access_key(self) -> str: ...
    @property
    def date(self) -> str: ...
    @property
    def timestamp(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def expires(self) -> int: ...
    @property
    def dialect(self) -> Dialect: ...


def dialect_of(request: Request, service: str) -> Dialect:
    """How the service named in the credential's scope (or, without one, the request) speaks."""
    if service in _S3_SERVICES:
        return "s3"
    if request.header("x-amz-target") is not None:
        return "json"
    if request.path == "/" and service:
        return "query"
    return "rest" if service else "s3"


def _refusal(dialect: Dialect, name: str, message: str, query_status: int = 403) -> ApiError:
    """``name`` is the query protocol's; the JSON family adds a word."""
    if dialect == "query":
        return ApiError(name, message, query_status)
    return ApiError(f"{name}Exception", message, 400 if dialect == "json" else 403)


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unsigned_request(dialect: Dialect) -> ApiError:
    """No authorization where one is needed."""
    if dialect == "s3":
        return ApiError("AccessDenied", "Access Denied", 403)
    return _refusal(dialect, "MissingAuthenticationToken", "Missing Authentication Token")


def unknown_key(signed: Signed) -> ApiError:
    """Nobody has this access key."""
    if signed.dialect == "s3":
        words = "The AWS Access Key Id you provided does not exist in our records."
        return ApiError("InvalidAccessKeyId", words, 403, {"AWSAccessKeyId": signed.access_key})
    if signed.dialect == "query":
        return ApiError("InvalidClientTokenId", _INVALID_TOKEN, 403)
    return _refusal(signed.dialect, "UnrecognizedClient", _INVALID_TOKEN)


def invalid_token(signed: Signed) -> ApiError:
    """The session token does not belong to the key."""
    if signed.dialect == "s3":
        return ApiError("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    return unknown_key(signed)


def expired_token(signed: Signed) -> ApiError:
    """The session behind temporary credentials is over."""
    if signed.dialect == "s3":
        return ApiError("ExpiredToken", "The provided token has expired.", 400)
    return _refusal(signed.dialect, "ExpiredToken", "The security token included in the request is expired")


def unsupported_algorithm(dialect: Dialect, algorithm: str) -> ApiError:
    """SigV2, SigV4A or something unheard of."""
    if dialect == "s3":
        words = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        return ApiError("InvalidRequest", words, 400)
    words = f"Unsupported AWS 'algorithm': '{algorithm[:60]}'. Only AWS4-HMAC-SHA256 is supported here."
    return _refusal(dialect, "IncompleteSignature", words, 400)


def incomplete(dialect: Dialect, missing: Sequence[str], text: str) -> ApiError:
    """Parts of the Authorization header are not there."""
    if dialect == "s3":
        words = f"The authorization header is malformed; the authorization header requires {', '.join(missing)}."
        return ApiError("AuthorizationHeaderMalformed", words, 400)
    words = " ".join(
        f"Authorization header requires existence of either a '{name}' or a 'Date' header."
        if name == "X-Amz-Date"
        else f"Authorization header requires '{name}' parameter."
        for name in missing
    )
    return _refusal(dialect, "IncompleteSignature", f"{words} Authorization={text.partition(' ')[0][:60]}", 400)


def signed_twice(text: str) -> ApiError:
    """An Authorization header on a presigned URL."""
    words = (
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified"
    )
    return ApiError("InvalidArgument", words, 400, {"ArgumentName": "Authorization", "ArgumentValue": text})


def incomplete_query(dialect: Dialect, missing: Sequence[str]) -> ApiError:
    """Parts of a presigned URL are not there."""
    if dialect == "s3":
        return bad_query(
            dialect,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )
    words = " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
    return _refusal(dialect, "IncompleteSignature", words, 400)


def bad_query(dialect: Dialect, words: str) -> ApiError:
    """A presigned URL with a value that cannot be."""
    if dialect == "s3":
        return ApiError("AuthorizationQueryParametersError", words, 400)
    return _refusal(dialect, "IncompleteSignature", words, 400)


def bad_scope(dialect: Dialect, credential: str) -> ApiError:
    """The credential is not KEY/DATE/REGION/SERVICE/aws4_request."""
    shown = credential[:200]
    if dialect == "s3":
        words = 'The authorization header is malformed; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/'
        return ApiError("AuthorizationHeaderMalformed", f'{words}REGION/SERVICE/aws4_request".', 400)
    words = (
        f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{shown}'"
    )
    return _refusal(dialect, "IncompleteSignature", words, 400)


def bad_date(dialect: Dialect, timestamp: str) -> ApiError:
    """X-Amz-Date is no date."""
    if dialect == "s3":
        words = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        return ApiError("AccessDenied", words, 403)
    words = (
        f"Date must be in ISO-8601 'basic format'. Got '{timestamp[:60]}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )
    return _refusal(dialect, "IncompleteSignature", words, 400)


def date_not_in_scope(signed: Signed) -> ApiError:
    """The scope is another day's."""
    words = (
        f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'{signed.date[:20]}' != '{signed.timestamp[:8]}', from '{signed.timestamp}'."
    )
    if signed.dialect == "s3":
        return ApiError("SignatureDoesNotMatch", words, 403)
    return _wrong(signed.dialect, words)


def _wrong(dialect: Dialect, words: str) -> ApiError:
    if dialect == "query":
        return ApiError("SignatureDoesNotMatch", words, 403)
    return _refusal(dialect, "InvalidSignature", words)


def expired(signed: Signed, now: float, skew: int) -> ApiError:
    """Signed too long ago."""
    if signed.dialect == "s3":
        return _skewed(signed, now, skew)
    words = f"Signature expired: {signed.timestamp} is now earlier than {_clock(now - skew)}"
    return _wrong(signed.dialect, f"{words} ({_clock(now)} - {skew // 60} min.)")


def not_yet_valid(signed: Signed, now: float, skew: int) -> ApiError:
    """Signed in the future."""
    if signed.dialect == "s3":
        if signed.expires:
            return ApiError("AccessDenied", "Request is not yet valid", 403, {"ServerTime": _iso(now)})
        return _skewed(signed, now, skew)
    words = (
        f"Signature not yet current: {signed.timestamp} is still later than {_clock(now + skew)} "
        f"({_clock(now)} + {skew // 60} min.)"
    )
    return _wrong(signed.dialect, words)


def _skewed(signed: Signed, now: float, skew: int) -> ApiError:
    fields = {
        "RequestTime": signed.timestamp,
        "ServerTime": _iso(now),
        "MaxAllowedSkewMilliseconds": str(skew * 1000),
    }
    words = "The difference between the request time and the current time is too large."
    return ApiError("RequestTimeTooSkewed", words, 403, fields)


def presigned_expired(signed: Signed, until: float, now: float) -> ApiError:
    """A presigned URL that is past its time."""
    if signed.dialect == "s3":
        fields = {"X-Amz-Expires": str(signed.expires), "Expires": _iso(until), "ServerTime": _iso(now)}
        return ApiError("AccessDenied", "Request has expired", 403, fields)
    words = f"Signature expired: {signed.timestamp} is now earlier than {_clock(now - signed.expires)}"
    return _wrong(signed.dialect, f"{words} ({_clock(now)} - {signed.expires} s.)")


def mismatch(signed: Signed, to_sign: str, canonical: str) -> ApiError:
    """Another secret, or something was changed on the way."""
    if signed.dialect != "s3":
        return _wrong(signed.dialect, f"{_MISMATCH} {_ADVICE}")
    fields = {
        "AWSAccessKeyId": signed.access_key,
        "StringToSign": to_sign,
        "SignatureProvided": signed.signature,
        "StringToSignBytes": to_sign.encode().hex(" "),
        "CanonicalRequest": canonical,
        "CanonicalRequestBytes": canonical.encode("latin-1", "replace").hex(" "),
    }
    return ApiError("SignatureDoesNotMatch", f"{_MISMATCH} Check your key and signing method.", 403, fields)


def unsigned_host(signed: Signed) -> ApiError:
    """A signature that would be good for any host."""
    words = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    if signed.dialect == "s3":
        return ApiError("AccessDenied", words, 403)
    return _wrong(signed.dialect, words)


def unsigned_headers(names: Sequence[str]) -> ApiError:
    """S3 takes none of its own headers on faith."""
    words = "There were headers present in the request which were not signed"
    return ApiError("AccessDenied", words, 403, {"HeadersNotSigned": ", ".join(names)})


def missing_content_hash() -> ApiError:
    """S3 wants to know what is signed before it reads the body."""
    return ApiError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256", 400)


def body_mismatch(dialect: Dialect, declared: str, computed: str) -> ApiError:
    """The body is not the one that was signed."""
    if dialect != "s3":
        return _wrong(dialect, f"{_MISMATCH} {_ADVICE}")
    fields = {"ClientComputedContentSHA256": declared, "S3ComputedContentSHA256": computed}
    words = "The provided 'x-amz-content-sha256' header does not match what was computed."
    return ApiError("XAmzContentSHA256Mismatch", words, 400, fields)

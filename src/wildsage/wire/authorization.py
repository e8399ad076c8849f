"""What a request says about who signed it, read from its Authorization header or its query."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import unquote

from wildsage.core.errors import ApiError
from wildsage.wire import sigv4_errors as errors
from wildsage.wire.http.messages import Request
from wildsage.wire.sigv4_errors import Dialect
from wildsage.wire.timestamps import RFC822, Malformed, parse_timestamp

ALGORITHM = "AWS4-HMAC-SHA256"
SIGV2_QUERY = "AWS-HMAC-SHA1"
TERMINATOR = "aws4_request"
MAX_EXPIRES = 604_800  # seconds a presigned URL may live
_DEFAULT_EXPIRES = 300
_USUAL_LENGTH = 1024
_QUERY_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)


class Authorization(NamedTuple):
    """What a request says about who signed it and how; nothing of it is proven before ``verify``.

    ``timestamp``: ``YYYYMMDDTHHMMSSZ``. ``date``, ``region``, ``service``: the credential's scope. ``signed_headers``:
    as sent, ``;`` between the names. ``expires``: seconds, 0 where the signature came in a header. ``dialect``: whose
    codes and words a refusal takes. ``algorithm``: SIGV2_QUERY has no scope, and its ``expires`` is a moment.
    """

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: str
    signature: str
    timestamp: str
    session_token: str
    presigned: bool
    expires: int
    dialect: Dialect
    algorithm: str = ALGORITHM

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def parse_authorization(request: Request) -> Authorization | None:
    """The request's authorization, None if it is unsigned. Raises ApiError for one that is incomplete or malformed."""
    text = request.header("authorization")
    if text is not None:
        found = _from_header(request, text)
        if found.dialect == "s3" and "X-Amz-Signature=" in request.query:
            raise errors.signed_twice(text)
        return found
    if "X-Amz-" in request.target and ("X-Amz-Algorithm=" in request.target or "X-Amz-Signature=" in request.target):
        return _from_query(request)
    if "AWSAccessKeyId=" in request.target and "Signature=" in request.target:
        return _from_v2_query(request)
    return None


@functools.lru_cache(maxsize=1024)
def _usual(before: str) -> tuple[str, str, str, str, str] | None:
    """Access key, date, region, service and signed headers; None unless exactly these stand before the signature.

    It is the same text for every request that a client makes on one day.
    """
    algorithm, _, rest = before.partition(" ")
    found = dict(part.strip().partition("=")[::2] for part in rest.removesuffix(",").split(","))
    scope = found.get("Credential", "").rsplit("/", 4)
    if algorithm != ALGORITHM or len(found) != 2 or len(scope) != 5 or scope[4] != TERMINATOR:
        return None
    signed = found.get("SignedHeaders")
    return (scope[0], scope[1], scope[2], scope[3], signed) if signed else None


def _from_header(request: Request, text: str) -> Authorization:
    before, mark, signature = text.rpartition("Signature=")
    usual = _usual(before.rstrip()) if mark and signature.isalnum() and len(before) < _USUAL_LENGTH else None
    if usual is None:
        return _from_any_header(request, text)
    headers = dict(request.headers)
    timestamp = headers.get("x-amz-date")
    if not timestamp:
        return _from_any_header(request, text)
    dialect = errors.dialect_of(request, usual[3])
    token = headers.get("x-amz-security-token", "")
    return Authorization(*usual, signature, timestamp, token, False, 0, dialect)


def _from_any_header(request: Request, text: str) -> Authorization:
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise errors.unsupported_algorithm(errors.dialect_of(request, ""), algorithm)
    found: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        found[name] = value
    scope = found.get("Credential", "").rsplit("/", 4)
    service = scope[3] if len(scope) == 5 else ""
    dialect = errors.dialect_of(request, service)
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not found.get(name)]
    if missing:
        raise errors.incomplete(dialect, missing, text)
    headers = dict(request.headers)
    timestamp = headers.get("x-amz-date") or _from_date_header(request)
    if not timestamp:
        raise errors.incomplete(dialect, ["X-Amz-Date"], text)
    if len(scope) != 5 or scope[4] != TERMINATOR:
        raise errors.bad_scope(dialect, found["Credential"])
    return Authorization(
        scope[0],
        scope[1],
        scope[2],
        service,
        found["SignedHeaders"],
        found["Signature"],
        timestamp,
        headers.get("x-amz-security-token", ""),
        False,
        0,
        dialect,
    )


def _from_date_header(request: Request) -> str:
    """The Date header, which may stand in for X-Amz-Date, in the latter's form."""
    text = request.header("date")
    if text is None:
        return ""
    try:
        return datetime.fromtimestamp(parse_timestamp(text, RFC822), UTC).strftime("%Y%m%dT%H%M%SZ")
    except Malformed:
        return text


def _from_query(request: Request) -> Authorization:
    found: dict[str, str] = {}
    for pair in request.query.split("&"):
        name, _, value = pair.partition("=")
        if name.startswith("X-Amz-"):
            found[name] = unquote(value)
    scope = found.get("X-Amz-Credential", "").rsplit("/", 4)
    service = scope[3] if len(scope) == 5 else ""
    dialect = errors.dialect_of(request, service)
    algorithm = found.get("X-Amz-Algorithm", "")
    if algorithm and algorithm != ALGORITHM:
        raise errors.unsupported_algorithm(dialect, algorithm)
    missing = [name for name in _QUERY_PARAMETERS if not found.get(name)]
    if missing == ["X-Amz-Expires"] and dialect != "s3":
        missing, found["X-Amz-Expires"] = [], str(_DEFAULT_EXPIRES)
    if missing:
        raise errors.incomplete_query(dialect, missing)
    if len(scope) != 5 or scope[4] != TERMINATOR:
        raise errors.bad_scope(dialect, found["X-Amz-Credential"])
    return Authorization(
        scope[0],
        scope[1],
        scope[2],
        service,
        found["X-Amz-SignedHeaders"],
        found["X-Amz-Signature"],
        found["X-Amz-Date"],
        found.get("X-Amz-Security-Token", ""),
        True,
        _expires(found["X-Amz-Expires"], dialect),
        dialect,
    )


def _from_v2_query(request: Request) -> Authorization:
    """What boto3's generate_presigned_url still makes for S3 in the older regions, us-east-1 among them."""
    found = {name: unquote(value) for name, _, value in (pair.partition("=") for pair in request.query.split("&"))}
    expires = found.get("Expires", "")
    if not expires.isdecimal() or len(expires) > 12 or not found.get("Signature"):
        words = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise ApiError("AccessDenied", words, 403)
    return Authorization(
        found.get("AWSAccessKeyId", ""),
        "",
        "",
        "s3",
        "",
        found["Signature"],
        expires,
        found.get("x-amz-security-token", ""),
        True,
        int(expires),
        "s3",
        SIGV2_QUERY,
    )


def _expires(text: str, dialect: Dialect) -> int:
    try:
        seconds = int(text)
    except ValueError as error:
        raise errors.bad_query(dialect, "X-Amz-Expires should be a number") from error
    if seconds < 0:
        raise errors.bad_query(dialect, "X-Amz-Expires must be non-negative")
    if seconds > MAX_EXPIRES:
        words = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than"
        )
        raise errors.bad_query(dialect, f"{words} {MAX_EXPIRES} seconds")
    return seconds

"""AWS Signature Version 4: reading, verifying and making signatures.

Sources: IAM User Guide, "Create a signed AWS API request"; Amazon S3 API Reference, "Authenticating Requests (AWS
Signature Version 4)".  S3 differs from everybody else: its paths are neither normalised nor encoded twice, it tolerates
15 minutes of clock skew instead of 5, and it has error codes of its own (see ``sigv4_errors``).

``verify`` runs for every request on the router, so it is written for speed: no regular expressions, signing keys and
canonical paths cached, one pass over the headers.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from wildsage.wire import sigv2_query
from wildsage.wire import sigv4_errors as errors
from wildsage.wire.authorization import ALGORITHM, SIGV2_QUERY, TERMINATOR, Authorization, parse_authorization
from wildsage.wire.http.messages import Headers, Request
from wildsage.wire.sigv4_canonical import canonical_query, normalized_path, s3_path
from wildsage.wire.sigv4_errors import Dialect

__all__ = [
    "ALGORITHM",
    "EMPTY_SHA256",
    "UNSIGNED_PAYLOAD",
    "Authorization",
    "Credentials",
    "declared_hash",
    "hash_of",
    "parse_authorization",
    "presign",
    "sign",
    "signing_key",
    "verify",
]

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_S3_SCOPES = ("s3", "s3express", "s3-outposts", "s3-object-lambda")
_SKEW, _S3_SKEW = 300, 900  # seconds
_UNSIGNED_HEADERS = frozenset(
    {"authorization", "connection", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
    | {"user-agent", "x-amzn-trace-id"}
)


class Credentials(NamedTuple):
    """What a client signs with; ``token`` is "" for long-term keys."""

    access_key: str
    secret: str
    token: str = ""


def declared_hash(authorization: Authorization, request: Request) -> str | None:
    """The payload hash the client names, None where the body itself must be hashed.

    Raises ApiError where S3 demands the header and it is not there, or UNSIGNED-PAYLOAD where only S3 allows it.
    """
    declared = request.header("x-amz-content-sha256")
    if authorization.dialect == "s3":
        if authorization.presigned:
            signed = "x-amz-content-sha256" in authorization.signed_headers.split(";")
            return declared if declared and signed else UNSIGNED_PAYLOAD
        if declared is None:
            raise errors.missing_content_hash()
        return declared
    if declared is not None and len(declared) != 64:
        raise errors.mismatch(authorization, "", "")
    return declared


def hash_of(authorization: Authorization, request: Request, body: bytes, digest: str | None = None) -> str:
    """The payload hash of a request whose body is in memory, to be given to ``verify``.

    ``digest``: of the body, if it was hashed already. Raises ApiError where the client declares another one.
    """
    declared = declared_hash(authorization, request)
    if declared and len(declared) != 64:
        return declared
    computed = digest or hashlib.sha256(body).hexdigest()
    if declared and declared != computed:
        raise errors.body_mismatch(authorization.dialect, declared, computed)
    return computed


def verify(authorization: Authorization, request: Request, secret: str, payload_hash: str, now: float) -> None:
    """Returns if the signature is the secret's, its time is right and it covers what it must; raises ApiError.

    ``payload_hash``: of ``hash_of`` or ``declared_hash``. ``now``: epoch seconds. The headers that a SigV2 URL has in
    its query are put among the request's.
    """
    if authorization.algorithm == SIGV2_QUERY:
        _verify_v2(authorization, request, secret, now)
        return
    _check_time(authorization, now)
    is_s3 = authorization.dialect == "s3"
    path, _, query = request.target.partition("?")
    if authorization.presigned:
        query = "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))
    signed = authorization.signed_headers
    canonical = (
        f"{request.method}\n{s3_path(path) if is_s3 else normalized_path(path)}\n"
        f"{canonical_query(query) if query else ''}\n{_canonical_headers(authorization, request.headers)}\n"
        f"{signed}\n{payload_hash}"
    )
    to_sign = (
        f"{ALGORITHM}\n{authorization.timestamp}\n{authorization.scope}\n"
        f"{hashlib.sha256(canonical.encode('latin-1', 'replace')).hexdigest()}"
    )
    computed = _keyed(secret, authorization.date, authorization.region, authorization.service).sign(to_sign)
    if not hmac.compare_digest(computed.encode(), authorization.signature.encode()):
        raise errors.mismatch(authorization, to_sign, canonical)


def _verify_v2(authorization: Authorization, request: Request, secret: str, now: float) -> None:
    if now > authorization.expires:
        raise errors.presigned_expired(authorization, authorization.expires, now)
    to_sign = sigv2_query.string_to_sign(request, authorization.timestamp)
    computed = sigv2_query.signature(secret, to_sign)
    if not hmac.compare_digest(computed.encode(), authorization.signature.encode("utf-8", "replace")):
        raise errors.mismatch(authorization, to_sign, "")
    request.headers += sigv2_query.hoisted(request)


def _check_time(authorization: Authorization, now: float) -> None:
    signed_at = _epoch(authorization.timestamp)
    if signed_at is None:
        raise errors.bad_date(authorization.dialect, authorization.timestamp)
    if authorization.timestamp[:8] != authorization.date:
        raise errors.date_not_in_scope(authorization)
    skew = _S3_SKEW if authorization.dialect == "s3" else _SKEW
    if authorization.presigned:
        if now > signed_at + authorization.expires:
            raise errors.presigned_expired(authorization, signed_at + authorization.expires, now)
        if signed_at - now > skew:
            raise errors.not_yet_valid(authorization, now, skew)
    elif now - signed_at > skew:
        raise errors.expired(authorization, now, skew)
    elif signed_at - now > skew:
        raise errors.not_yet_valid(authorization, now, skew)


@functools.lru_cache(maxsize=1024)
def _epoch(timestamp: str) -> float | None:
    """Seconds of ``YYYYMMDDTHHMMSSZ``, None if it is not one."""
    if len(timestamp) != 16 or not timestamp.isascii() or timestamp[8] != "T" or timestamp[15] != "Z":
        return None
    digits = timestamp[:8] + timestamp[9:15]
    if not digits.isdigit():
        return None
    parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))]
    try:
        return datetime(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _canonical_headers(authorization: Authorization, headers: Headers) -> str:
    """The signed headers, one a line. Raises ApiError if the host, or S3's own headers, are not among them."""
    names = _names(authorization.signed_headers)
    values = dict(headers)
    if len(values) != len(headers):
        values = _joined(headers)
    if "host" not in names:
        raise errors.unsigned_host(authorization)
    if authorization.dialect == "s3":
        unsigned = [name for name in values if name.startswith("x-amz-") and name not in names]
        if unsigned and not (authorization.presigned and unsigned == ["x-amz-content-sha256"]):
            raise errors.unsigned_headers(unsigned)
    lines = []
    for name in names:
        value = values.get(name, "")
        lines.append(f"{name}:{' '.join(value.split()) if '  ' in value else value.strip()}\n")
    return "".join(lines)


@functools.lru_cache(maxsize=1024)
def _names(signed: str) -> tuple[str, ...]:
    return tuple(signed.split(";"))


def _joined(headers: Headers) -> dict[str, str]:
    """Values by name; a comma joins those of a name that comes more than once."""
    values: dict[str, str] = {}
    for name, value in headers:
        values[name] = f"{values[name]},{value.strip()}" if name in values else value.strip()
    return values


@functools.lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key derived for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class _Keyed:
    """HMAC-SHA-256 (RFC 2104) with its key worked in already.

    For one that begins with its key OpenSSL looks up its algorithms anew: three times the work, and much of it memory
    that is not in the caches where a request comes after a pause.
    """

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def sign(self, text: str) -> str:
        """In hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()


@functools.lru_cache(maxsize=1024)
def _keyed(secret: str, date: str, region: str, service: str) -> _Keyed:
    return _Keyed(signing_key(secret, date, region, service))


def sign(
    request: Request,
    credentials: Credentials,
    region: str,
    service: str,
    now: float,
    payload_hash: str | None = None,
) -> None:
    """Adds the headers of a signature to ``request``, which must have its host header.

    ``payload_hash``: of the body (None: it is empty), or UNSIGNED-PAYLOAD or a STREAMING-… constant.
    """
    timestamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    hashed = payload_hash or EMPTY_SHA256
    replaced = ("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
    request.headers = [(name, value) for name, value in request.headers if name not in replaced]
    request.headers.append(("x-amz-date", timestamp))
    if credentials.token:
        request.headers.append(("x-amz-security-token", credentials.token))
    if service in _S3_SCOPES or payload_hash == UNSIGNED_PAYLOAD:
        request.headers.append(("x-amz-content-sha256", hashed))
    signed = ";".join(sorted({name for name, _ in request.headers} - _UNSIGNED_HEADERS))
    made = _signature(request, request.target, credentials, timestamp, (region, service), signed, hashed)
    credential = f"{credentials.access_key}/{timestamp[:8]}/{region}/{service}/{TERMINATOR}"
    value = f"{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={made}"
    request.headers.append(("authorization", value))


def presign(
    request: Request, credentials: Credentials, region: str, service: str, now: float, expires: int = 3600
) -> str:
    """The request target that anyone may use for ``expires`` seconds with ``request``'s method and headers."""
    timestamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = ";".join(sorted({name for name, _ in request.headers} - _UNSIGNED_HEADERS))
    credential = f"{credentials.access_key}/{timestamp[:8]}/{region}/{service}/{TERMINATOR}"
    fields = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": credential,
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": signed,
    }
    if credentials.token:
        fields["X-Amz-Security-Token"] = credentials.token
    added = "&".join(f"{name}={quote(value, safe='~')}" for name, value in fields.items())
    target = f"{request.target}{'&' if '?' in request.target else '?'}{added}"
    hashed = UNSIGNED_PAYLOAD if service in _S3_SCOPES else EMPTY_SHA256
    made = _signature(request, target, credentials, timestamp, (region, service), signed, hashed)
    return f"{target}&X-Amz-Signature={made}"


def _signature(
    request: Request,
    target: str,
    credentials: Credentials,
    timestamp: str,
    scope: tuple[str, str],
    signed: str,
    hashed: str,
) -> str:
    region, service = scope
    path, _, query = target.partition("?")
    dialect: Dialect = "s3" if service in _S3_SCOPES else "rest"
    date = timestamp[:8]
    draft = Authorization(credentials.access_key, date, region, service, signed, "", timestamp, "", True, 0, dialect)
    canonical = "\n".join(
        (
            request.method,
            s3_path(path) if dialect == "s3" else normalized_path(path),
            canonical_query(query),
            _canonical_headers(draft, request.headers),
            signed,
            hashed,
        )
    )
    digest = hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest()
    to_sign = f"{ALGORITHM}\n{timestamp}\n{draft.scope}\n{digest}"
    return _keyed(credentials.secret, date, region, service).sign(to_sign)

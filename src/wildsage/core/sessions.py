"""Temporary credentials that verify themselves: what STS hands out and every door accepts.

The session token carries the claims and a MAC under the server's master secret, and the secret key is derived from the
access key id, so that control and routers check a session without looking anything up.

    token  = base64url( JSON claims ‖ HMAC-SHA256(master, "token" ‖ claims) )
    secret = base64( first 30 bytes of HMAC-SHA256(master, "secret" ‖ access key id) ), 40 characters
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wildsage.core.caller import Caller
from wildsage.core.errors import WildsageError
from wildsage.core.ids import unique_id

_MAC_BYTES = hashlib.sha256().digest_size


class InvalidToken(WildsageError):
    """Not a token of this server, altered, or presented with another access key."""


class ExpiredToken(WildsageError):
    """A token of this server whose time is over."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client signs with, as STS answers it; ``expires`` in epoch seconds."""

    access_key: str
    secret: str
    token: str
    expires: float


@dataclass(frozen=True, slots=True)
class Session:
    """An opened token. ``secret``: what its requests are signed with.

    ``policies``: session policy documents (JSON text), which narrow what the principal's own policies allow.
    ``tags``: session tags. ``issued`` and ``expires`` in epoch seconds.
    """

    caller: Caller
    secret: str
    issued: float
    expires: float
    policies: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def issue(
    master: bytes,
    caller: Caller,
    issued: float,
    expires: float,
    policies: tuple[str, ...] = (),
    tags: Mapping[str, str] | None = None,
) -> Credentials:
    """New credentials for ``caller`` (see ``core.caller.session_of``); its ``access_key`` is made here."""
    access_key = unique_id("ASIA")
    claims: dict[str, Any] = {
        "k": access_key,
        "a": caller.account,
        "r": caller.arn,
        "u": caller.user_id,
        "p": caller.principal,
        "i": issued,
        "e": expires,
    }
    if policies:
        claims["s"] = list(policies)
    if tags:
        claims["t"] = dict(tags)
    text = json.dumps(claims, separators=(",", ":")).encode()
    token = base64.urlsafe_b64encode(text + _mac(master, b"token", text)).decode()
    return Credentials(access_key, secret_of(master, access_key), token, expires)


def secret_of(master: bytes, access_key: str) -> str:
    """The secret key that belongs to a session's access key id."""
    return base64.b64encode(_mac(master, b"secret", access_key.encode())[:30]).decode()


def open(master: bytes, token: str, access_key: str, now: float) -> Session:
    """Checks ``token`` and returns what it says.

    Raises InvalidToken, or ExpiredToken once ``now`` has reached its end.
    """
    session = _opened(master, token, access_key)
    if now >= session.expires:
        raise ExpiredToken("the session has expired")
    return session


@functools.lru_cache(maxsize=1024)
def _opened(master: bytes, token: str, access_key: str) -> Session:
    """What never changes about a token: clients send the same one with every request."""
    try:
        raw = base64.b64decode(token, b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidToken("the session token is not base64") from error
    text, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(master, b"token", text)):
        raise InvalidToken("the session token was not issued by this server")
    claims = json.loads(text)
    if claims["k"] != access_key:
        raise InvalidToken("the session token belongs to another access key")
    caller = Caller(claims["a"], claims["r"], claims["u"], claims["p"], access_key)
    session = Session(caller, secret_of(master, access_key), claims["i"], claims["e"])
    if "s" in claims or "t" in claims:
        return replace(session, policies=tuple(claims.get("s", ())), tags=claims.get("t", {}))
    return session


def _mac(master: bytes, purpose: bytes, text: bytes) -> bytes:
    return hmac.digest(master, purpose + text, "sha256")

"""Passwords of the registry: what GetAuthorizationToken hands out, and links to single layers.

A password verifies itself, as sessions do (``core.sessions``), under a purpose of its own: it opens the registry and
nothing else.  It names its principal; what that may do is asked with every request.

    password = base64url( JSON claims ‖ HMAC-SHA256(master, "registry" ‖ claims) )
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from wildsage.core.caller import Caller
from wildsage.core.errors import WildsageError

SECONDS = 12 * 3600.0
"""How long a password is good for (ECR User Guide, "Private registry authentication")."""
LINK_SECONDS = 3600.0
USER = "AWS"
_MAC_BYTES = hashlib.sha256().digest_size


class BadPassword(WildsageError):
    """Not one of this server's."""


class OldPassword(WildsageError):
    """Its time is over."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a password says. ``region``: where it was asked for, with ``account``: that registry is its own.

    ``policies`` and ``tags``: of the caller's session, as in ``core.sessions.Session``.
    """

    caller: Caller
    account: str
    region: str
    expires: float
    policies: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def issue(master: bytes, grant: Grant) -> str:
    """The password."""
    caller = grant.caller
    claims = {
        "c": [caller.account, caller.arn, caller.user_id, caller.principal, caller.access_key],
        "a": grant.account,
        "r": grant.region,
        "e": grant.expires,
        "s": list(grant.policies),
        "t": dict(grant.tags),
    }
    text = json.dumps(claims, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text + _mac(master, b"registry", text)).decode()


def open_basic(master: bytes, authorization: str, now: float) -> Grant:
    """What the ``Authorization`` header of a request says. Raises BadPassword or OldPassword."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise BadPassword("the registry takes Basic authorization")
    user, colon, password = _decoded(given.strip()).decode("latin-1").partition(":")
    if not colon or user != USER:
        raise BadPassword(f"the registry's user is {USER}")
    return _opened(master, password, now)


def _opened(master: bytes, password: str, now: float) -> Grant:
    raw = _decoded(password.replace("-", "+").replace("_", "/"))
    text, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(master, b"registry", text)):
        raise BadPassword("the password is not one of this server's")
    claims = json.loads(text)
    if now >= claims["e"]:
        raise OldPassword("Your authorization token has expired. Reauthenticate and try again.")
    return Grant(Caller(*claims["c"]), claims["a"], claims["r"], claims["e"], tuple(claims["s"]), claims["t"])


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadPassword("the authorization is not base64") from None


def sign_link(master: bytes, place: str, repository: str, digest: str, expires: int) -> str:
    """Proves a link to a layer, which needs no password."""
    return _mac(master, b"layer", f"{place}\n{repository}\n{digest}\n{expires}".encode()).hex()


def is_signed(master: bytes, place: str, repository: str, digest: str, expires: str, proof: str, now: float) -> bool:
    """Whether a link is one of this server's and still good."""
    if not expires.isdecimal() or len(expires) > 15 or int(expires) <= now:
        return False
    wanted = sign_link(master, place, repository, digest, int(expires))
    return hmac.compare_digest(wanted.encode(), proof.encode("utf-8", "replace"))


def _mac(master: bytes, purpose: bytes, text: bytes) -> bytes:
    return hmac.digest(master, purpose + text, "sha256")

"""Who asks: the signature of a request checked against the snapshot, without asking control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wildsage.access.asking import of_session
from wildsage.core import sessions
from wildsage.core.clock import Clock
from wildsage.core.errors import ApiError
from wildsage.core.sessions import Session
from wildsage.dataplane.table import Table
from wildsage.dataplane.verdicts import Verdicts, of_session_policies
from wildsage.wire import sigv4, sigv4_errors
from wildsage.wire.http.messages import Request
from wildsage.wire.sigv4 import Authorization

_SIGNING_NAME = "sagemaker"
_MOST_SESSIONS = 4096
_NOTHING: Mapping[str, tuple[str, ...]] = {}


class Identity(NamedTuple):
    """A caller. ``within``: what the session's own policies say of invocations; None if it has none.

    ``user_id``: the unique id of the user or role, without a session's name. ``context``: the session's condition keys.
    """

    arn: str
    principal: str
    user_id: str
    region: str
    within: Verdicts | None
    context: Mapping[str, tuple[str, ...]]


class _Opened(NamedTuple):
    """A session whose token was checked, and what ``Identity`` has of it."""

    session: Session
    user_id: str
    within: Verdicts | None
    context: Mapping[str, tuple[str, ...]]


class Callers:
    """Proves callers; opened session tokens are remembered."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._sessions: dict[str, _Opened] = {}
        self._master = b""

    def identify(self, request: Request, body: bytes, digest: str | None = None) -> Identity:
        """Raises ApiError with the code that AWS has for what is wrong with the signature.

        ``digest``: of the body (``sigv4.hash_of``), if it is known.
        """
        authorization = _authorization(request)
        now = self._clock.now()
        secret, identity = self.signer(authorization, now)
        sigv4.verify(authorization, request, secret, sigv4.hash_of(authorization, request, body, digest), now)
        if authorization.service != _SIGNING_NAME:
            words = f"Credential should be scoped to correct service: '{_SIGNING_NAME}'."
            raise ApiError("InvalidSignatureException", words, 403)
        return identity

    def known(self, request: Request) -> None:
        """Raises ApiError for what is wrong with a request whatever its body is: no key, or one that nobody knows."""
        self.signer(_authorization(request), self._clock.now())

    def signer(self, authorization: Authorization, now: float) -> tuple[str, Identity]:
        """The secret that must have signed, and who that proves to be. Raises ApiError for keys that are not known."""
        if authorization.session_token:
            session, user_id, within, context = self._session(authorization, now)
            caller, region = session.caller, authorization.region
            return session.secret, Identity(caller.arn, caller.principal, user_id, region, within, context)
        key = self._table.key(authorization.access_key)
        if key is None:
            raise sigv4_errors.unknown_key(authorization)
        return key.secret, Identity(key.arn, key.principal, key.user_id, authorization.region, None, _NOTHING)

    def _session(self, authorization: Authorization, now: float) -> _Opened:
        if self._master != self._table.master:
            self._master = self._table.master
            self._sessions.clear()
        token = authorization.session_token
        opened = self._sessions.get(token)
        if opened is not None:
            session = opened.session
            if session.caller.access_key == authorization.access_key and now < session.expires:
                return opened
        try:
            session = sessions.open(self._master, token, authorization.access_key, now)
        except sessions.ExpiredToken as error:
            raise sigv4_errors.expired_token(authorization) from error
        except sessions.InvalidToken as error:
            raise sigv4_errors.invalid_token(authorization) from error
        if len(self._sessions) >= _MOST_SESSIONS:
            self._sessions.clear()
        user_id = session.caller.user_id.partition(":")[0]
        within = of_session_policies(session.policies) if session.policies else None
        opened = self._sessions[token] = _Opened(session, user_id, within, of_session(session))
        return opened


def _authorization(request: Request) -> Authorization:
    authorization = sigv4.parse_authorization(request)
    if authorization is None:
        raise sigv4_errors.unsigned_request("rest")
    return authorization

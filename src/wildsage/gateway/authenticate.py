"""Stage 2: who asks. Checks the signature and finds the caller with its policies."""

from __future__ import annotations

from dataclasses import replace

from wildsage.access.asking import of_session
from wildsage.access.decisions import Identity
from wildsage.access.policies import Principal, compile_policy
from wildsage.core import sessions
from wildsage.core.caller import ANONYMOUS, Caller
from wildsage.core.sessions import ExpiredToken, InvalidToken, Session
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts
from wildsage.wire import sigv4, sigv4_errors
from wildsage.wire.aside import aside
from wildsage.wire.http.messages import BytesBody
from wildsage.wire.sigv4 import Authorization
from wildsage.wire.sigv4_streaming import open_body

_HASH = 64  # hex digits of a payload's hash
NOBODY = Identity(Principal("AWS", frozenset({ANONYMOUS.arn})), context={"aws:principaltype": ("Anonymous",)})


# Links in messages, which people click: the token or the ARN in them is all there is.
_LINKS = frozenset({("sns", "ConfirmSubscription"), ("sns", "Unsubscribe")})


async def authenticate(parts: Parts, exchange: Exchange) -> None:
    """Fills caller and identity; raises ApiError with AWS's code for what does not prove who signed it.

    A body that streams is checked while it is read: its reader gets the error.
    """
    authorization = exchange.authorization
    if authorization is None:
        if exchange.op.auth_type == "none":
            return
        if (exchange.service, exchange.op.name) in _LINKS:
            return
        if exchange.service == "s3":
            exchange.caller, exchange.identity = ANONYMOUS, NOBODY
            return
        raise sigv4_errors.unsigned_request(sigv4_errors.dialect_of(exchange.http, exchange.service))
    caller, secret, session = await signer(parts, authorization)
    await _check_signature(parts, exchange, authorization, secret)
    exchange.caller, exchange.identity = caller, await identity_of(parts, authorization, caller, session)


async def identity_of(parts: Parts, authorization: Authorization, caller: Caller, session: Session | None) -> Identity:
    """The caller's policies, narrowed by those of its session. Raises InvalidAccessKeyId and its like if it is gone."""
    identity = await parts.principals.identity(caller)
    if identity is None:
        raise sigv4_errors.unknown_key(authorization)
    if session is not None:
        narrowing = tuple(compile_policy(text) for text in session.policies) or None
        identity = replace(identity, session=narrowing, context={**identity.context, **of_session(session)})
    return identity


async def signer(parts: Parts, authorization: Authorization) -> tuple[Caller, str, Session | None]:
    """Whose key it is, its secret, and the session of a temporary one; nothing is proven by that."""
    platform = parts.platform
    if authorization.session_token:
        try:
            session = sessions.open(
                platform.credentials.master,
                authorization.session_token,
                authorization.access_key,
                platform.clock.now(),
            )
        except InvalidToken as error:
            raise sigv4_errors.invalid_token(authorization) from error
        except ExpiredToken as error:
            raise sigv4_errors.expired_token(authorization) from error
        return session.caller, session.secret, session
    key = await parts.principals.key(authorization.access_key)
    if key is None:
        raise sigv4_errors.unknown_key(authorization)
    return key.caller, key.secret, None


async def _check_signature(parts: Parts, exchange: Exchange, authorization: Authorization, secret: str) -> None:
    request, now = exchange.http, parts.platform.clock.now()
    if isinstance(request.body, BytesBody):
        sent = request.body.sent
        payload_hash = await aside(len(sent), sigv4.hash_of, authorization, request, sent)
        sigv4.verify(authorization, request, secret, payload_hash, now)
        if authorization.dialect == "s3" and len(payload_hash) != _HASH:
            open_body(authorization, request, secret)  # chunks may arrive all at once
        return
    declared = sigv4.declared_hash(authorization, request) or sigv4.EMPTY_SHA256
    sigv4.verify(authorization, request, secret, declared, now)
    open_body(authorization, request, secret)

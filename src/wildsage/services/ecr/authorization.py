"""GetAuthorizationToken: the password that opens the registry."""

from __future__ import annotations

import base64

from wildsage.core import sessions
from wildsage.core.clock import to_datetime
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.ecr import tokens
from wildsage.services.ecr.names import Registry
from wildsage.store.codec import Document


@operation("GetAuthorizationToken")
async def get_authorization_token(ctx: Context, request: Document) -> Document:
    """One for each of ``registryIds``; a session's policies narrow what the password may, too."""
    expires = ctx.now + tokens.SECONDS
    policies, tags = _session(ctx)
    answers = []
    for account in request.get("registryIds") or [ctx.account]:
        grant = tokens.Grant(ctx.caller, account, ctx.region, expires, policies, tags)
        password = tokens.issue(ctx.platform.credentials.master, grant)
        answers.append(
            {
                "authorizationToken": base64.b64encode(f"{tokens.USER}:{password}".encode()).decode(),
                "expiresAt": to_datetime(expires),
                "proxyEndpoint": f"https://{Registry(account, ctx.region).host}",
            }
        )
    return {"authorizationData": answers}


def _session(ctx: Context) -> tuple[tuple[str, ...], dict[str, str]]:
    """Policies and tags of the session that asks; the door has checked its token already."""
    token = None if ctx.request is None else ctx.request.header("x-amz-security-token")
    if token is None:
        return (), {}
    session = sessions.open(ctx.platform.credentials.master, token, ctx.caller.access_key, ctx.now)
    return session.policies, dict(session.tags)

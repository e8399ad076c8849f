"""``/v2/…``: the container registry, whose clients sign nothing but send a password.

The registry answers by itself (``services.ecr.distribution``); what it asks of the door is whether the principal behind
a password may do an operation of ECR's, which is put to policies and recorded as any call.
"""

from __future__ import annotations

from dataclasses import replace

from wildsage.access.decisions import Identity
from wildsage.access.policies import compile_policy
from wildsage.core.errors import ApiError
from wildsage.core.ids import request_id
from wildsage.gateway.audit import Audit
from wildsage.gateway.authorize import authorize
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts, Password
from wildsage.store.codec import Document
from wildsage.wire.http.lanes import LANE_HEADER, WITHHELD
from wildsage.wire.http.messages import Request, Response
from wildsage.wire.model import load
from wildsage.wire.names import virtual_bucket

SERVICE = "ecr"


def is_registry(request: Request) -> bool:
    """Whether it is the registry's: its paths begin with ``/v2/``, as those of signed requests may as well."""
    if not (request.target.startswith(("/v2/", "/v2?")) or request.target == "/v2"):
        return False
    signed = (request.header("authorization") or "").startswith("AWS") or "X-Amz-" in request.query
    return not signed and virtual_bucket(request.header("host") or "") is None


async def answer_registry(parts: Parts, audit: Audit, request: Request) -> Response:
    """The registry's answer."""

    async def permit(password: Password, region: str, operation: str, params: Document) -> None:
        if not operation:
            await _identity(parts, password)
            return
        model = load(SERVICE)
        exchange = Exchange(
            request_id(),
            parts.platform.clock.now(),
            request=request,
            service=SERVICE,
            region=region,
            model=model,
            operation=model.operations[operation],
            caller=password.caller,
            params=params,
        )
        try:
            await _authorize(parts, exchange, password)
        except ApiError as error:
            exchange.error = error
            raise
        finally:
            if request.header(LANE_HEADER) in (None, WITHHELD):  # else it is the same request again, with its bytes
                audit.note(exchange)

    return await (await parts.registry())(request, permit)


async def _authorize(parts: Parts, exchange: Exchange, password: Password) -> None:
    identity = await _identity(parts, password)
    tags = {f"aws:principaltag/{name.lower()}": (value,) for name, value in password.tags.items()}
    narrowing = tuple(compile_policy(text) for text in password.policies) or None
    exchange.identity = replace(identity, session=narrowing, context={**identity.context, **tags})
    await authorize(parts, exchange)


async def _identity(parts: Parts, password: Password) -> Identity:
    """Whose password it is."""
    identity = await parts.principals.identity(password.caller)
    if identity is None:
        words = f"{password.caller.principal} is no longer there; ask for a new password."
        raise ApiError("AccessDeniedException", words, 403)
    return identity

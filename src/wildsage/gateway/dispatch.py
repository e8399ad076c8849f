"""Stage 7: the operation itself."""

from __future__ import annotations

from wildsage.core.caller import Caller
from wildsage.core.errors import ApiError, Unsupported
from wildsage.gateway.authorize import unseen
from wildsage.gateway.exchange import Exchange
from wildsage.gateway.parts import Parts
from wildsage.kit import reservedtags
from wildsage.kit.context import Context


async def dispatch(parts: Parts, exchange: Exchange) -> None:
    """Runs the operation's handler and fills the answer; raises Unsupported where there is none.

    Tag keys that are AWS's own are refused here, for all operations of a service alike.
    """
    service = parts.services.get(exchange.service)
    operation = None if service is None else service.operations.get(exchange.op.name)
    if service is None or operation is None:
        raise Unsupported(
            f"Wildsage does not run {exchange.op.name} of {exchange.service} yet. COVERAGE.md lists what runs."
        )
    account = parts.platform.settings.account
    caller = exchange.caller or Caller(account, "anonymous", "anonymous", "anonymous", "")
    context = Context(
        platform=parts.platform,
        caller=caller,
        region=exchange.region,
        service=exchange.service,
        operation=exchange.op.name,
        request_id=exchange.request_id,
        request=exchange.request,
        refused=exchange.refused,
    )
    try:
        if service.reserved_tag is not None:
            reservedtags.check(exchange.params, service.reserved_tag)
        exchange.answer = await operation.handler(context, exchange.params)
    except ApiError as error:
        told = await unseen(parts, exchange, error)
        if told is error:
            raise
        raise told from error

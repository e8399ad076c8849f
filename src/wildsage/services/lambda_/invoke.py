"""Invoke: an event for a function, and what the function makes of it."""

from __future__ import annotations

import base64
import json

from wildsage.core.errors import ApiError
from wildsage.core.functions import LATEST
from wildsage.kit.context import Context
from wildsage.kit.operation import Handler
from wildsage.services.lambda_ import payloads, queued, rules
from wildsage.services.lambda_.functions import FAILED, PENDING
from wildsage.services.lambda_.names import conflict, error, fetch, unsupported
from wildsage.services.lambda_.workers.events import Event, Outcome
from wildsage.services.lambda_.workers.pool import Workers
from wildsage.services.lambda_.workers.program import program_of
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

UNHANDLED = "Unhandled"
"""FunctionError of every failure, as on AWS today: no runtime that runs here says Handled."""


def invoke_with(workers: Workers) -> Handler:
    """The handler of Invoke (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html)."""

    async def invoke(ctx: Context, request: Document) -> Document:
        function = await fetch(ctx, request)
        kind = request.get("InvocationType") or "RequestResponse"
        for member in ("TenantId", "DurableExecutionName"):
            if request.get(member):
                raise unsupported(member, "leave it out.")
        if kind == "DryRun":
            return {"StatusCode": 204, "Payload": b""}
        event = await _event(ctx, request, rules.QUEUED_BYTES if kind == "Event" else rules.EVENT_BYTES)
        _check_invocable(function)
        if kind == "Event":
            await queued.add(ctx, function.key, event)
            return {"StatusCode": 202, "Payload": b""}
        outcome = await workers.invoke(program_of(function, ctx.platform.settings), event)
        return _answer(outcome, with_log=request.get("LogType") == "Tail")

    return invoke


async def not_served(_ctx: Context, _request: Document) -> Document:
    """In the place of ``invoke_with`` until there are workers."""
    raise ApiError("ServiceException", "Functions are not run yet; the server is starting.", 500)


def _answer(outcome: Outcome, with_log: bool) -> Document:
    answer: Document = {"StatusCode": 200, "Payload": outcome.payload, "ExecutedVersion": LATEST}
    if outcome.error:
        answer["FunctionError"] = UNHANDLED
    if with_log:
        answer["LogResult"] = base64.b64encode(outcome.log).decode()
    return answer


async def _event(ctx: Context, request: Document, most: int) -> Event:
    payload: bytes = request.get("Payload") or b"{}"
    if len(payload) > most:
        raise error(
            "RequestEntityTooLargeException",  # the model has RequestTooLargeException, which nobody was ever told
            f"{len(payload)} byte payload is too large for the {request.get('InvocationType') or 'RequestResponse'} "
            f"invocation type (limit {most} bytes)",
            413,
        )
    try:
        await payloads.check(payload)
    except ValueError as wrong:
        raise error("InvalidRequestContentException", f"Could not parse request body into json: {wrong}", 400) from None
    return Event(ctx.request_id, payload, _client_context(request.get("ClientContext")))


def _client_context(given: str | None) -> str:
    if not given:
        return ""
    try:
        found = json.loads(base64.b64decode(given, validate=True))
    except (ValueError, RecursionError):
        words = "Client context must be a valid Base64-encoded JSON object."
        raise error("InvalidRequestContentException", words, 400) from None
    return json.dumps(found)  # ASCII, in one line, as a header has it


def _check_invocable(function: Resource) -> None:
    if function.phase == PENDING:
        words = "The operation cannot be performed at this time. The function is currently in the following state: "
        raise conflict(words + PENDING)
    if function.phase == FAILED:
        raise conflict(f"The function is in the state Failed: {function.status.get('StateReason', '')}")

"""InvokeEndpointAsync: accepted is on disk."""

from __future__ import annotations

from wildsage.core import ids
from wildsage.core.errors import ApiError
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.asynchronous import rules
from wildsage.services.sagemaker.endpoints import fleet
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.store.codec import Document
from wildsage.store.queued import QueuedRequests
from wildsage.store.resources import Key

ACCEPTED = "asynchronous requests"
"""The hint that a request was accepted, about the uid of its endpoint."""


@operation("InvokeEndpointAsync")
async def invoke_endpoint_async(ctx: Context, request: Document) -> Document:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html"""
    rules.check(request)
    name = request["EndpointName"]
    found = await ctx.platform.resources.get(Key(ENDPOINT.name, ctx.account, ctx.region, name))
    current = None if found is None or found.phase in ("Deleting", "Failed") else fleet.load(found.state).current
    if found is None or current is None:
        raise rules.invalid(f"Endpoint {name} of account {ctx.account} not found.")
    if not current.asynchronous:
        raise rules.invalid(
            f"Endpoint {name} is not an asynchronous endpoint: its configuration has no AsyncInferenceConfig. "
            "Use InvokeEndpoint."
        )
    new = rules.queued(request, current.asynchronous, found.uid, ids.request_id(), ctx.now)
    try:
        await QueuedRequests(ctx.platform.database).add(new)
    except OSError as error:
        raise ApiError("ServiceUnavailable", f"The request cannot be kept: {error}", 503) from error
    ctx.platform.hints.notify(ACCEPTED, about=found.uid)
    return rules.told(new)

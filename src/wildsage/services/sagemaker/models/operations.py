"""The API operations of models."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import deleted, described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.models import reachable, rules
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.store.codec import Document

describe_model = described(MODEL)
list_models = listed(MODEL)
delete_model = deleted(MODEL)


@operation("CreateModel")
async def create_model(ctx: Context, request: Document) -> Document:
    rules.check(request)
    await reachable.check(ctx, request)
    spec = {**request, "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation"))}
    created = await crud.create(ctx, MODEL, spec)
    return {"ModelArn": MODEL.arn(created.key)}

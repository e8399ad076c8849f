"""The API operations of models."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.models import rules
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.store.codec import Document


@operation("CreateModel")
async def create_model(ctx: Context, request: Document) -> Document:
    rules.check(request)
    spec = {**request, "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation"))}
    created = await crud.create(ctx, MODEL, spec)
    return {"ModelArn": MODEL.arn(created.key)}


@operation("DescribeModel")
async def describe_model(ctx: Context, request: Document) -> Document:
    return MODEL.describe(await crud.fetch(ctx, MODEL, request["ModelName"]))


@operation("ListModels")
async def list_models(ctx: Context, request: Document) -> Document:
    return await crud.list_page(ctx, MODEL, request)


@operation("DeleteModel")
async def delete_model(ctx: Context, request: Document) -> Document:
    await crud.delete(ctx, MODEL, request["ModelName"])
    return {}

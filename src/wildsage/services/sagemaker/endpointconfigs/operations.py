"""The API operations of endpoint configurations."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.endpointconfigs import rules
from wildsage.services.sagemaker.endpointconfigs.kind import ENDPOINT_CONFIG
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.store.codec import Document


@operation("CreateEndpointConfig")
async def create_endpoint_config(ctx: Context, request: Document) -> Document:
    rules.check(request)
    for variant in request["ProductionVariants"]:
        await crud.fetch(ctx, MODEL, variant["ModelName"])
    created = await crud.create(ctx, ENDPOINT_CONFIG, rules.complete(request))
    return {"EndpointConfigArn": ENDPOINT_CONFIG.arn(created.key)}


@operation("DescribeEndpointConfig")
async def describe_endpoint_config(ctx: Context, request: Document) -> Document:
    return ENDPOINT_CONFIG.describe(await crud.fetch(ctx, ENDPOINT_CONFIG, request["EndpointConfigName"]))


@operation("ListEndpointConfigs")
async def list_endpoint_configs(ctx: Context, request: Document) -> Document:
    return await crud.list_page(ctx, ENDPOINT_CONFIG, request)


@operation("DeleteEndpointConfig")
async def delete_endpoint_config(ctx: Context, request: Document) -> Document:
    await crud.delete(ctx, ENDPOINT_CONFIG, request["EndpointConfigName"])
    return {}

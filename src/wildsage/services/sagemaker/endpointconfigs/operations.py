"""The API operations of endpoint configurations."""

from __future__ import annotations

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import deleted, described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.endpointconfigs import rules
from wildsage.services.sagemaker.endpointconfigs.kind import ENDPOINT_CONFIG
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.store.codec import Document

describe_endpoint_config = described(ENDPOINT_CONFIG)
list_endpoint_configs = listed(ENDPOINT_CONFIG)
delete_endpoint_config = deleted(ENDPOINT_CONFIG)


@operation("CreateEndpointConfig")
async def create_endpoint_config(ctx: Context, request: Document) -> Document:
    rules.check(request)
    for variant in (*request["ProductionVariants"], *(request.get("ShadowProductionVariants") or ())):
        model = await crud.fetch(ctx, MODEL, variant["ModelName"])
        rules.check_model(request, variant, model.spec)
    created = await crud.create(ctx, ENDPOINT_CONFIG, rules.complete(request))
    return {"EndpointConfigArn": ENDPOINT_CONFIG.arn(created.key)}

"""The API operations of endpoints."""

from __future__ import annotations

from dataclasses import replace

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.endpointconfigs.kind import ENDPOINT_CONFIG
from wildsage.services.sagemaker.endpoints import fleet, rules
from wildsage.services.sagemaker.endpoints.fleet import Fleet, State, Variant
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.models.kind import MODEL
from wildsage.store.codec import Document
from wildsage.store.resources import Resource

DELETE = "delete"

describe_endpoint = described(ENDPOINT)
list_endpoints = listed(ENDPOINT)


async def _fleet_of(ctx: Context, config_name: str, number: int) -> Fleet:
    """The configuration and its models as they are now; later changes of either do not reach a running endpoint."""
    config = await crud.fetch(ctx, ENDPOINT_CONFIG, config_name)
    variants = []
    for document in config.spec["ProductionVariants"]:
        model = await crud.fetch(ctx, MODEL, document["ModelName"])
        variants.append(
            Variant(
                name=document["VariantName"],
                weight=float(document["InitialVariantWeight"]),
                count=document["InitialInstanceCount"],
                document=document,
                model=model.spec,
            )
        )
    return Fleet(number, config_name, ctx.now, tuple(variants))


@operation("CreateEndpoint")
async def create_endpoint(ctx: Context, request: Document) -> Document:
    rules.check_create(request)
    target = await _fleet_of(ctx, request["EndpointConfigName"], 1)
    state = fleet.dump(State(target, None, {}))
    created = await crud.create(ctx, ENDPOINT, request, phase="Creating", state=state, due=True)
    return {"EndpointArn": ENDPOINT.arn(created.key)}


@operation("UpdateEndpoint")
async def update_endpoint(ctx: Context, request: Document) -> Document:
    rules.check_update(request)
    arn = ENDPOINT.arn((await crud.fetch(ctx, ENDPOINT, request["EndpointName"])).key)
    wanted = await _fleet_of(ctx, request["EndpointConfigName"], 0)
    excluded = frozenset(each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties") or ())

    def change(endpoint: Resource) -> None:
        rules.check_changeable(endpoint.phase, arn)
        state = fleet.load(endpoint.state)
        target = replace(wanted, number=state.target.number + 1)
        if request.get("RetainAllVariantProperties"):
            target = fleet.retained(state.target, target, excluded)
        state.target = target
        _begin_update(endpoint, state)

    await crud.edit(ctx, ENDPOINT, request["EndpointName"], change)
    return {"EndpointArn": arn}


@operation("UpdateEndpointWeightsAndCapacities")
async def update_endpoint_weights_and_capacities(ctx: Context, request: Document) -> Document:
    arn = ENDPOINT.arn((await crud.fetch(ctx, ENDPOINT, request["EndpointName"])).key)
    wishes = {each["VariantName"]: each for each in request["DesiredWeightsAndCapacities"]}

    def adjust(variant: Variant) -> Variant:
        wish = wishes.get(variant.name, {})
        return replace(
            variant,
            weight=float(wish.get("DesiredWeight", variant.weight)),
            count=wish.get("DesiredInstanceCount", variant.count),
        )

    def change(endpoint: Resource) -> None:
        rules.check_changeable(endpoint.phase, arn)
        state = fleet.load(endpoint.state)
        rules.check_capacities(request, state.target)
        state.target = replace(state.target, variants=tuple(map(adjust, state.target.variants)))
        _begin_update(endpoint, state)

    await crud.edit(ctx, ENDPOINT, request["EndpointName"], change)
    return {"EndpointArn": arn}


def _begin_update(endpoint: Resource, state: State) -> None:
    endpoint.phase = "Updating"
    endpoint.state = fleet.dump(state)
    endpoint.status = {name: value for name, value in endpoint.status.items() if name != "FailureReason"}


@operation("DeleteEndpoint")
async def delete_endpoint(ctx: Context, request: Document) -> Document:
    """Works in every status; AWS refuses it while an endpoint is Creating or Updating."""
    found = await crud.fetch(ctx, ENDPOINT, request["EndpointName"])
    if found.wish == DELETE:
        return {}  # under way; it would only begin anew

    def change(endpoint: Resource) -> None:
        endpoint.wish = DELETE
        endpoint.phase = "Deleting"

    await crud.edit(ctx, ENDPOINT, request["EndpointName"], change)
    return {}

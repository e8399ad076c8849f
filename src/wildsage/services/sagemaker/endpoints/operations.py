"""The API operations of endpoints."""

from __future__ import annotations

from dataclasses import replace

from wildsage.kit import kind as crud
from wildsage.kit.context import Context
from wildsage.kit.declared import described, listed
from wildsage.kit.operation import operation
from wildsage.services.sagemaker.endpointconfigs.kind import ENDPOINT_CONFIG
from wildsage.services.sagemaker.endpointconfigs.rules import check_model
from wildsage.services.sagemaker.endpoints import (
    alarms,
    deployment,
    fleet,
    moves,
    rules,
    scaling,
    serverless,
    summaries,
)
from wildsage.services.sagemaker.endpoints.fleet import Fleet, State, Variant
from wildsage.services.sagemaker.endpoints.kind import ENDPOINT
from wildsage.services.sagemaker.endpoints.rollout import policy_of
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
    for member in ("ProductionVariants", "ShadowProductionVariants"):
        for document in config.spec.get(member) or ():
            model = await crud.fetch(ctx, MODEL, document["ModelName"])
            check_model(config.spec, document, model.spec)  # it may be another than when the configuration was made
            variants.append(
                Variant(
                    name=document["VariantName"],
                    weight=float(document["InitialVariantWeight"]),
                    count=document.get("InitialInstanceCount", 1),
                    document=document,
                    model=model.spec,
                    shadow=member == "ShadowProductionVariants",
                )
            )
    capture, queued = (config.spec.get(each) or {} for each in ("DataCaptureConfig", "AsyncInferenceConfig"))
    return Fleet(number, config_name, ctx.now, tuple(variants), capture, queued)


@operation("CreateEndpoint")
async def create_endpoint(ctx: Context, request: Document) -> Document:
    rules.check_create(request)
    target = await _fleet_of(ctx, request["EndpointConfigName"], 1)
    rules.check_size(target)
    policy = request.get("DeploymentConfig")
    await _check_deployment(ctx, policy, target)
    state = State(target)
    status = {"LastDeploymentConfig": policy} if policy else {}
    created = await crud.create(
        ctx,
        ENDPOINT,
        request,
        phase="Creating",
        status=status | summaries.described(state),
        state=fleet.dump(state),
        due=True,
    )
    return {"EndpointArn": ENDPOINT.arn(created.key)}


async def _check_deployment(ctx: Context, policy: Document | None, target: Fleet) -> None:
    """Raises ValidationError for a DeploymentConfig that cannot be followed."""
    if policy:
        deployment.check(policy, target)
        await alarms.check(ctx.platform, ctx.region, target, policy_of(policy).alarms)


@operation("UpdateEndpoint")
async def update_endpoint(ctx: Context, request: Document) -> Document:
    rules.check_update(request)
    found = await crud.fetch(ctx, ENDPOINT, request["EndpointName"])
    arn = ENDPOINT.arn(found.key)
    rules.check_changeable(found.phase, arn)
    wanted = await _fleet_of(ctx, request["EndpointConfigName"], 0)
    policy = request.get("DeploymentConfig")
    if not policy and request.get("RetainDeploymentConfig"):
        policy = found.status.get("LastDeploymentConfig")
    state = fleet.load(found.state)
    target = _retaining(request, state, wanted)
    serverless.check_update(state.target, target, policy)
    rules.check_same_way(arn, state.target, target)
    rules.check_size(target, len(state.instances))
    await _check_deployment(ctx, policy, target)
    await scaling.check_update(ctx, found.key.name, state.target, target)

    def change(endpoint: Resource) -> None:
        rules.check_changeable(endpoint.phase, arn)
        state = fleet.load(endpoint.state)
        moves.begin(state, _retaining(request, state, wanted), policy or {}, ctx.now)
        _begin_update(endpoint, state)
        if policy:
            endpoint.status["LastDeploymentConfig"] = policy

    await crud.edit(ctx, ENDPOINT, request["EndpointName"], change)
    return {"EndpointArn": arn}


def _retaining(request: Document, state: State, wanted: Fleet) -> Fleet:
    """The next fleet, with the capacities and weights of the last where that is asked for."""
    target = replace(wanted, number=state.next_number())
    if not request.get("RetainAllVariantProperties"):
        return target
    excluded = request.get("ExcludeRetainedVariantProperties") or ()
    return fleet.retained(state.target, target, frozenset(each["VariantPropertyType"] for each in excluded))


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
            document=serverless.changed(variant, wish),
        )

    def change(endpoint: Resource) -> None:
        rules.check_adjustable(endpoint.phase, arn)
        state = fleet.load(endpoint.state)
        rules.check_capacities(request, state.target)
        state.target = replace(state.target, variants=tuple(map(adjust, state.target.variants)))
        rules.check_size(state.target, len(state.instances))
        _begin_update(endpoint, state)

    await crud.edit(ctx, ENDPOINT, request["EndpointName"], change)
    return {"EndpointArn": arn}


def _begin_update(endpoint: Resource, state: State) -> None:
    endpoint.phase = "Updating"
    state.unpublished = True  # even if nothing changes, it is in service again only once routers were told
    endpoint.state = fleet.dump(state)
    hidden = (*summaries.FIELDS, "FailureReason")
    kept = {name: value for name, value in endpoint.status.items() if name not in hidden}
    endpoint.status = kept | summaries.described(state)


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
    await scaling.deregister(ctx, found.key.name, fleet.load(found.state))
    return {}

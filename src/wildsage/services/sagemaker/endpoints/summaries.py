"""What DescribeEndpoint says of variants and of an update under way. Pure."""

from __future__ import annotations

from wildsage.services.sagemaker.endpoints import capture, moves, serverless
from wildsage.services.sagemaker.endpoints.fleet import Fleet, State, Variant
from wildsage.store.codec import Document

_KEPT = ("ManagedInstanceScaling", "RoutingConfig")


def described(state: State) -> Document:
    """The members named in FIELDS; each only where there is any."""
    found: Document = {}
    if state.current is not None:
        found |= capture.described(state.current.capture)
        found |= _split(state.current, [_serving(state, state.current, each) for each in state.current.variants])
    if queued := (state.current or state.target).asynchronous:
        found["AsyncInferenceConfig"] = queued
    if state.rollout is not None or state.current is None:
        pending = _split(state.target, [_pending(state, each) for each in state.target.variants])
        found["PendingDeploymentSummary"] = {
            "EndpointConfigName": state.target.config,
            "StartTime": state.target.made,
            **pending,
        }
    return found


FIELDS = (
    "ProductionVariants",
    "ShadowProductionVariants",
    "PendingDeploymentSummary",
    "DataCaptureConfig",
    "AsyncInferenceConfig",
)


def _split(fleet: Fleet, summaries: list[Document]) -> Document:
    shadows = {each.name for each in fleet.variants if each.shadow}
    found = {
        "ProductionVariants": [each for each in summaries if each["VariantName"] not in shadows],
        "ShadowProductionVariants": [each for each in summaries if each["VariantName"] in shadows],
    }
    return {name: value for name, value in found.items() if value}


def _serving(state: State, fleet: Fleet, variant: Variant) -> Document:
    """A ProductionVariantSummary. CurrentInstanceCount: those that requests go to."""
    desired = (state.target.variant(variant.name) if state.target.number == fleet.number else None) or variant
    current = len(state.serving_at((fleet.number, variant.name)))
    found = {
        **_common(variant, fleet.made),
        "CurrentWeight": variant.weight,
        "DesiredWeight": desired.weight,
        **_capacity(variant, desired, current),
    }
    if (desired.weight, desired.count, desired.serverless) != (variant.weight, variant.count, variant.serverless):
        found["VariantStatus"] = [{"Status": "Updating"}]
    return found


def _pending(state: State, variant: Variant) -> Document:
    """A PendingProductionVariantSummary. CurrentWeight is 0 until the variant gets traffic."""
    fleet, rollout = state.target, state.rollout
    share = 0.0 if rollout is None else moves.plan_of(state, rollout).share
    return {
        **_common(variant, fleet.made),
        **_type(variant),
        "CurrentWeight": variant.weight if share else 0.0,
        "DesiredWeight": variant.weight,
        **_capacity(variant, variant, len(state.serving_at((fleet.number, variant.name)))),
        "VariantStatus": [_stage(state)],
    }


def _capacity(variant: Variant, desired: Variant, current: int) -> Document:
    """Its concurrency if it is serverless, else its instances."""
    if variant.serverless is not None:
        return serverless.described(variant.serverless, desired.serverless or variant.serverless)
    return {"CurrentInstanceCount": current, "DesiredInstanceCount": desired.count}


def _type(variant: Variant) -> Document:
    return {name: variant.document[name] for name in ("InstanceType",) if name in variant.document}


def _stage(state: State) -> Document:
    """A ProductionVariantStatus."""
    rollout = state.rollout
    if rollout is None:
        return {"Status": "Creating", "StartTime": state.target.made}
    if rollout.reason:
        return {"Status": "Deleting", "StatusMessage": rollout.reason, "StartTime": rollout.changed}
    status = "Creating" if not rollout.on else "ActivatingTraffic" if rollout.since is None else "Baking"
    return {"Status": status, "StartTime": rollout.changed}


def _common(variant: Variant, made: float) -> Document:
    specified = [each.image for each in variant.containers]
    resolved = variant.resolved or [""] * len(specified)
    images = [
        {"SpecifiedImage": image, "ResolvedImage": found or image, "ResolutionTime": made}
        for image, found in zip(specified, resolved, strict=True)
    ]
    kept = {name: variant.document[name] for name in _KEPT if variant.document.get(name)}
    return {"VariantName": variant.name, "DeployedImages": images, **kept}

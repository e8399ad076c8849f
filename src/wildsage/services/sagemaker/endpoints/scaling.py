"""Variants that are scalable targets of Application Auto Scaling, which is asked as the caller.

Source: Developer Guide, "Update or delete endpoints that use automatic scaling".
"""

from __future__ import annotations

from collections.abc import Iterable

from wildsage.core.errors import ApiError, ValidationError
from wildsage.kit.context import Context
from wildsage.services.sagemaker.endpoints.fleet import Fleet, State
from wildsage.store.codec import Document

_SERVICE = "application-autoscaling"
_ABOUT = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
_PASSED_OVER = ("AccessDeniedException", "ObjectNotFoundException")
""" "If any are and you have permission to deregister the variant"; and another call may be faster."""


async def check_update(ctx: Context, endpoint: str, old: Fleet, new: Fleet) -> None:
    """Raises ValidationError if the update removes a variant that is scaled, or gives it other instances."""
    changed = [each.name for each in old.production if _type(old, each.name) != _type(new, each.name)]
    scaled = await _registered(ctx, endpoint, changed)
    if scaled:
        raise ValidationError(
            f'The variant(s) "{", ".join(scaled)}" must be deregistered as scalable targets with AutoScaling before '
            "they can be removed or have their instance type updated."
        )


async def deregister(ctx: Context, endpoint: str, state: State) -> None:
    """The endpoint is being deleted: its variants are no scalable targets any more."""
    fleets = [state.target, *(part.fleet for part in state.serving)]
    for name in await _registered(ctx, endpoint, {each.name for fleet in fleets for each in fleet.production}):
        await _asked(ctx, "DeregisterScalableTarget", {**_ABOUT, "ResourceId": _resource_id(endpoint, name)})


def _type(fleet: Fleet, name: str) -> object:
    """What the variant's instances are; None if there is no such variant."""
    variant = fleet.variant(name)
    return None if variant is None else variant.document.get("InstanceType", "")


async def _registered(ctx: Context, endpoint: str, variants: Iterable[str]) -> list[str]:
    """Those of the variants that are scalable targets, as far as the caller may see."""
    names = {_resource_id(endpoint, name): name for name in sorted(variants)}
    if not names:
        return []
    found = await _asked(ctx, "DescribeScalableTargets", {**_ABOUT, "ResourceIds": list(names)})
    return [names[each["ResourceId"]] for each in found.get("ScalableTargets", ())]


async def _asked(ctx: Context, operation: str, params: Document) -> Document:
    try:
        return await ctx.platform.calls.call(ctx.caller, ctx.region, _SERVICE, operation, params)
    except ApiError as error:
        if error.code not in _PASSED_OVER:
            raise
        return {}


def _resource_id(endpoint: str, variant: str) -> str:
    return f"endpoint/{endpoint}/variant/{variant}"

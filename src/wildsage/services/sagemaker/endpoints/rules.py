"""What the operations of endpoints check beyond the model. Pure."""

from __future__ import annotations

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.endpoints.fleet import Fleet
from wildsage.services.sagemaker.instance.accepted import Tree, refuse_beyond
from wildsage.store.codec import Document

_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")

_CREATE: Tree = {"EndpointName": None, "EndpointConfigName": None, "Tags": None}
_UPDATE: Tree = {
    "EndpointName": None,
    "EndpointConfigName": None,
    "RetainAllVariantProperties": None,
    "ExcludeRetainedVariantProperties": {"VariantPropertyType": ("DesiredWeight", "DesiredInstanceCount")},
}
_CAPACITIES: Tree = {
    "EndpointName": None,
    "DesiredWeightsAndCapacities": {"VariantName": None, "DesiredWeight": None, "DesiredInstanceCount": None},
}


def check_create(request: Document) -> None:
    """Raises Unsupported for what is not run yet."""
    refuse_beyond(request, _CREATE)


def check_update(request: Document) -> None:
    """Raises Unsupported for what is not run yet."""
    refuse_beyond(request, _UPDATE)


def check_capacities(request: Document, fleet: Fleet) -> None:
    """Raises ValidationError for variants the endpoint does not have, Unsupported for what is not run yet."""
    refuse_beyond(request, _CAPACITIES)
    for each in request["DesiredWeightsAndCapacities"]:
        if fleet.variant(each["VariantName"]) is None:
            raise ValidationError(f'The variant name(s) "{each["VariantName"]}" were not found in the endpoint.')
        if each.get("DesiredInstanceCount") == 0:
            raise ValidationError(f"DesiredInstanceCount of variant {each['VariantName']} must be at least 1.")


def check_changeable(phase: str, arn: str) -> None:
    """Raises ValidationError in AWS's words while something else is under way, or after a failed creation."""
    if phase in _IN_PROGRESS:
        raise ValidationError(f'Cannot update in-progress endpoint "{arn}".')
    if phase == "Failed":
        raise ValidationError(f'Cannot update endpoint "{arn}" in status Failed. Delete it and create it again.')

"""What the operations of endpoints check beyond the model. Pure."""

from __future__ import annotations

from wildsage.core.errors import ApiError, ValidationError
from wildsage.services.sagemaker.endpointconfigs.rules import DEFAULT_WEIGHT, bounds, check_weight
from wildsage.services.sagemaker.endpoints.fleet import Fleet
from wildsage.services.sagemaker.instance.accepted import ANY, Tree, refuse_beyond
from wildsage.store.codec import Document

MOST_INSTANCES = 1000
"""Of one endpoint; the service model knows no end of InitialInstanceCount and DesiredInstanceCount."""

# AWS refuses changes in SystemUpdating too; here it may be a model that keeps dying, and an update its cure.
_IN_PROGRESS = ("Creating", "Updating", "RollingBack", "Deleting")

_CREATE: Tree = {"EndpointName": None, "EndpointConfigName": None, "Tags": None, "DeploymentConfig": ANY}
_UPDATE: Tree = {
    "EndpointName": None,
    "EndpointConfigName": None,
    "RetainAllVariantProperties": None,
    "ExcludeRetainedVariantProperties": {"VariantPropertyType": ("DesiredWeight", "DesiredInstanceCount")},
    "DeploymentConfig": ANY,
    "RetainDeploymentConfig": None,
}
_CAPACITIES: Tree = {
    "EndpointName": None,
    "DesiredWeightsAndCapacities": {
        "VariantName": None,
        "DesiredWeight": None,
        "DesiredInstanceCount": None,
        "ServerlessUpdateConfig": ANY,
    },
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
        variant = fleet.variant(each["VariantName"])
        if variant is None:
            raise ValidationError(f'The variant name(s) "{each["VariantName"]}" were not found in the endpoint.')
        check_weight(variant.name, each.get("DesiredWeight", DEFAULT_WEIGHT))
        count = each.get("DesiredInstanceCount")
        if count == 0 and not fleet.asynchronous:
            raise ValidationError(f"DesiredInstanceCount of variant {each['VariantName']} must be at least 1.")
        least, most = bounds(variant.document)
        if count is not None and not least <= count <= most:
            raise ValidationError(
                f"DesiredInstanceCount {count} of variant {each['VariantName']} lies outside the MinInstanceCount and "
                "MaxInstanceCount of its ManagedInstanceScaling."
            )


def check_same_way(arn: str, old: Fleet, new: Fleet) -> None:
    """Raises ValidationError: requests that wait in a queue could not be answered by a real-time endpoint."""
    if bool(old.asynchronous) != bool(new.asynchronous):
        had = "an" if old.asynchronous else "no"
        raise ValidationError(
            f'Cannot update endpoint "{arn}" to {new.config}: its configuration has {had} AsyncInferenceConfig. Create '
            "another endpoint."
        )


def check_size(fleet: Fleet, present: int = 0) -> None:
    """Raises ResourceLimitExceeded for more instances than an endpoint may have; ``present``: those that it has."""
    wanted = sum(variant.count for variant in fleet.variants)
    if wanted > MOST_INSTANCES:
        raise ApiError(
            "ResourceLimitExceeded",
            f"The account-level service limit 'Number of instances for an endpoint' is {MOST_INSTANCES} Instances, "
            f"with current utilization of {present} Instances and a request delta of {wanted - present} Instances.",
            400,
        )


def check_changeable(phase: str, arn: str) -> None:
    """Raises ValidationError in AWS's words while something else is under way, or after a failed creation."""
    if phase in _IN_PROGRESS:
        raise ValidationError(f'Cannot update in-progress endpoint "{arn}".')
    if phase == "Failed":
        raise ValidationError(f'Cannot update endpoint "{arn}" in status Failed. Delete it and create it again.')


def check_adjustable(phase: str, arn: str) -> None:
    """As ``check_changeable``, for weights and capacities: these are those of one configuration."""
    check_changeable(phase, arn)
    if phase == "UpdateRollbackFailed":
        raise ValidationError(
            f'Cannot update weights and capacities of endpoint "{arn}" in status UpdateRollbackFailed: it serves a mix '
            "of two configurations. Update it with UpdateEndpoint first."
        )

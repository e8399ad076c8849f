"""What a request is about: namespace, resource and dimension; errors in the service's words; ARNs.

Source: API reference of Application Auto Scaling, RegisterScalableTarget.
"""

from __future__ import annotations

from dataclasses import dataclass

from wildsage.core import arn
from wildsage.core.errors import ApiError, Unsupported, ValidationError
from wildsage.store.codec import Document

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of an endpoint, whose number of instances is scaled."""

    endpoint: str
    name: str

    @property
    def resource_id(self) -> str:
        return f"endpoint/{self.endpoint}/variant/{self.name}"


def check_namespace(request: Document) -> None:
    """Raises Unsupported for what is not scaled here."""
    if request["ServiceNamespace"] != NAMESPACE:
        raise Unsupported(
            f"Wildsage scales SageMaker only: ServiceNamespace must be {NAMESPACE}, not {request['ServiceNamespace']}."
        )
    dimension = request.get("ScalableDimension")
    if dimension not in (None, DIMENSION):
        raise Unsupported(f"Wildsage scales the dimension {DIMENSION} only, not {dimension}.")


def variant_of(request: Document) -> Variant:
    """The variant that ResourceId names. Raises Unsupported, ValidationException."""
    check_namespace(request)
    match request["ResourceId"].split("/"):
        case ["endpoint", endpoint, "variant", name] if endpoint and name:
            return Variant(endpoint, name)
        case ["inference-component", *_]:
            raise Unsupported("Wildsage does not have inference components: ResourceId must be that of a variant.")
    raise ValidationError(
        "Unsupported service namespace, resource type or scalable dimension: ResourceId must have the form "
        f"endpoint/NAME/variant/NAME, not {request['ResourceId']}."
    )


def about(resource_id: str) -> Document:
    """The three members that name a scalable target in answers."""
    return {"ServiceNamespace": NAMESPACE, "ResourceId": resource_id, "ScalableDimension": DIMENSION}


def missing(message: str) -> ApiError:
    return ApiError("ObjectNotFoundException", message)


def of_target(resource_id: str) -> str:
    """How errors name a scalable target."""
    return f"for service namespace: {NAMESPACE}, resource ID: {resource_id}, scalable dimension: {DIMENSION}"


def target_arn(region: str, account: str, number: str) -> str:
    return arn.build("application-autoscaling", region, account, f"scalable-target/{number}")


def part_arn(kind: str, region: str, account: str, number: str, resource_id: str, name: str) -> str:
    """The ARN of a scaling policy (``kind`` policy) or a scheduled action."""
    types = {"policy": "scalingPolicy", "action": "scheduledAction"}
    members = {"policy": "policyName", "action": "scheduledActionName"}
    return arn.build(
        "autoscaling",
        region,
        account,
        f"{types[kind]}:{number}:resource/{NAMESPACE}/{resource_id}:{members[kind]}/{name}",
    )

"""A function as answers show it. Pure.

``state`` of its resource: ``sha256`` and ``size`` of the code; of a container image ``wanted`` (the URI that was given)
``image`` (what the engine knows it by) and ``resolved`` (its name with the digest that a registry knows it by, which is
``sha256`` then; empty if none does or it is not had yet: ``sha256`` is the engine's); ``revision`` (RevisionId),
``build`` (anew with each change of what runs: workers of another build are not used), ``changed`` (LastModified),
``policy``, ``reserved``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wildsage.core.functions import LATEST
from wildsage.services.lambda_.code import Code
from wildsage.services.lambda_.names import arn_of
from wildsage.store.codec import Document
from wildsage.store.resources import Resource


def configuration(function: Resource, qualifier: str = "") -> Document:
    """FunctionConfiguration; the ARN has the qualifier that was asked with."""
    state = function.state
    found: dict[str, Any] = {
        **function.spec,
        **_code(state),
        "FunctionName": function.key.name,
        "FunctionArn": arn_of(function.key, qualifier),
        "Version": LATEST,
        "RevisionId": state["revision"],
        "LastModified": moment(state["changed"]),
        "State": function.phase,
        **function.status,
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    }
    image = found.pop("ImageConfig", None)
    if image:
        found["ImageConfigResponse"] = {"ImageConfig": image}
    vpc = found.get("VpcConfig")
    if vpc is not None:
        found["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", **vpc}
    variables = (function.spec.get("Environment") or {}).get("Variables")
    if variables:
        found["Environment"] = {"Variables": variables}
    else:
        found.pop("Environment", None)
    return found


def _code(state: Document) -> dict[str, Any]:
    """CodeSha256 and CodeSize, which images have none of."""
    if "wanted" in state:
        return {"CodeSha256": state["sha256"], "CodeSize": 0}
    return Code(state["sha256"], state["size"]).shown


def location(function: Resource) -> dict[str, Any]:
    """FunctionCodeLocation. Without a Location for zips: there is no place outside of the server to fetch one from."""
    state = function.state
    if "wanted" not in state:
        return {"RepositoryType": "S3"}
    wanted = state["wanted"]
    return {"RepositoryType": "ECR", "ImageUri": wanted, "ResolvedImageUri": state.get("resolved") or wanted}


def moment(seconds: float) -> str:
    """As Lambda writes LastModified: ISO 8601 with milliseconds and +0000."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"

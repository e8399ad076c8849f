"""Which DeploymentConfig can be followed (API reference, DeploymentConfig and what is below it). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildsage.core.errors import ValidationError
from wildsage.services.sagemaker.endpoints.fleet import Fleet
from wildsage.store.codec import Document

_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


def check(config: Document, target: Fleet) -> None:
    """Raises ValidationError unless an update to ``target`` can go as ``config`` says."""
    green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if green and rolling:
        raise ValidationError(
            "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified in DeploymentConfig."
        )
    if green:
        _check_shifting(green["TrafficRoutingConfiguration"], target)
        _check_times(green, green["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"])
    if rolling:
        _check_size("MaximumBatchSize", rolling["MaximumBatchSize"], 5, target)
        if "RollbackMaximumBatchSize" in rolling:
            _check_size("RollbackMaximumBatchSize", rolling["RollbackMaximumBatchSize"], 5, target, most=100)
        _check_times(rolling, rolling["WaitIntervalInSeconds"])


def _check_shifting(shifting: Mapping[str, Any], target: Fleet) -> None:
    for kind, name in _SIZES.items():
        if shifting["Type"] == kind and name not in shifting:
            raise ValidationError(f"{name} is required for traffic routing of type {kind}.")
        if shifting["Type"] != kind and name in shifting:
            raise ValidationError(f"{name} can only be specified for traffic routing of type {kind}.")
    if shifting["Type"] in _SIZES:
        name = _SIZES[shifting["Type"]]
        _check_size(name, shifting[name], 10 if name == "LinearStepSize" else 1, target)


def _check_size(name: str, size: Mapping[str, Any], least: int, target: Fleet, most: int = 50) -> None:
    """``least``, ``most``: per cent of a variant's instances."""
    if size["Type"] == "CAPACITY_PERCENT":
        if not least <= size["Value"] <= most:
            raise ValidationError(f"{name} must be from {least} to {most} percent, but is {size['Value']}.")
        return
    for variant in target.variants:
        if size["Value"] * 100 > most * variant.count:
            raise ValidationError(
                f"{name} of {size['Value']} instances is more than {most} percent of variant {variant.name}, which has "
                f"{variant.count}."
            )


def _check_times(policy: Mapping[str, Any], wait: int) -> None:
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    waits = wait + (policy.get("TerminationWaitInSeconds") or 0)
    if limit is not None and limit <= waits:
        raise ValidationError(
            f"MaximumExecutionTimeoutInSeconds ({limit}) must be larger than the waiting time of WaitIntervalInSeconds "
            f"and TerminationWaitInSeconds together ({waits})."
        )
